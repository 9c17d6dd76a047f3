"""Large apps that others wrote, asked by the clients that are theirs."""

import hashlib
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.apps import APPS, serving
from tests.e2e.stand import Stand

LARGE = APPS / "large"
MEBIBYTE = os.urandom(1 << 20)


@pytest.fixture(scope="module")
def datasette(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("datasette")
    # One worker makes the database; with two, both would.
    arguments = ("sqlite_site:app", "--app-dir", str(LARGE), "--workers", "1")
    with serving(*arguments, cwd=folder) as stand:
        yield stand


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    # What moto keeps lies in the memory of its process.
    arguments = ("cloud:app", "--app-dir", str(LARGE), "--workers", "1", "--threads", "8")
    with serving(*arguments, cwd=tmp_path_factory.mktemp("moto")) as stand:
        yield stand


@pytest.fixture(scope="module")
def storage(cloud: Stand) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the client's own code is warned of
        import boto3  # noqa: PLC0415 - not before its warnings are off
        from botocore.config import Config  # noqa: PLC0415 - as above

        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{cloud.port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(proxies={}),
        )
        client.create_bucket(Bucket="plants")
        yield client
        client.close()


def test_datasette_answers_pages_json_and_its_own_files(datasette: Stand) -> None:
    page = datasette.get("/plants/plants")
    assert "plant 7" in page.text
    rows = datasette.get("/plants/plants.json?_size=5&_shape=array").json()
    assert [row["name"] for row in rows] == [f"plant {number}" for number in range(5)]
    style = datasette.get("/-/static/app.css")
    assert style.headers["content-type"] == "text/css"
    assert datasette.get("/plants/nothing").status == 404


def test_datasette_streams_a_whole_table(datasette: Stand) -> None:
    answer = datasette.get("/plants/plants.csv?_stream=on&_size=max")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(answer.text.splitlines()) == 51


def test_datasette_answers_many_at_once(datasette: Stand) -> None:
    def count(number: int) -> int:
        query = f"/plants.json?sql=select+count(*)+as+n+from+plants+where+id+%3E+{number}"
        return int(datasette.get(f"{query}&_shape=array").json()[0]["n"])

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(count, range(50))) == [50 - number for number in range(50)]


def test_an_object_comes_back_as_it_was_put(storage: Any) -> None:
    storage.put_object(Bucket="plants", Key="a/b c.bin", Body=MEBIBYTE, ContentType="x/y")
    found = storage.get_object(Bucket="plants", Key="a/b c.bin")
    assert (found["ContentType"], found["ContentLength"]) == ("x/y", len(MEBIBYTE))
    assert hashlib.sha256(found["Body"].read()).digest() == hashlib.sha256(MEBIBYTE).digest()
    part = storage.get_object(Bucket="plants", Key="a/b c.bin", Range="bytes=5-9")
    assert part["Body"].read() == MEBIBYTE[5:10]


def test_objects_are_listed_and_deleted(storage: Any) -> None:
    for number in range(20):
        storage.put_object(Bucket="plants", Key=f"list/{number:02}", Body=b"x")
    keys = [
        each["Key"] for each in storage.list_objects_v2(Bucket="plants", Prefix="list/")["Contents"]
    ]
    assert keys == [f"list/{number:02}" for number in range(20)]
    objects = [{"Key": key} for key in keys]
    storage.delete_objects(Bucket="plants", Delete={"Objects": objects})
    assert storage.list_objects_v2(Bucket="plants", Prefix="list/")["KeyCount"] == 0


def test_an_upload_in_parts_is_put_together(storage: Any) -> None:
    begun = storage.create_multipart_upload(Bucket="plants", Key="parts")
    common = {"Bucket": "plants", "Key": "parts", "UploadId": begun["UploadId"]}
    bodies = [MEBIBYTE * 5, b"the end"]
    parts = [
        {"ETag": storage.upload_part(**common, PartNumber=at, Body=body)["ETag"], "PartNumber": at}
        for at, body in enumerate(bodies, 1)
    ]
    storage.complete_multipart_upload(**common, MultipartUpload={"Parts": parts})
    found = storage.get_object(Bucket="plants", Key="parts")["Body"].read()
    assert found == b"".join(bodies)


def test_what_is_not_there_is_told_in_the_apps_words(storage: Any) -> None:
    with pytest.raises(storage.exceptions.NoSuchKey):
        storage.get_object(Bucket="plants", Key="nowhere")
