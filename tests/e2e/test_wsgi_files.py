"""`wsgi.file_wrapper`: the client gets what reading the file would give."""

import gzip
from collections.abc import Iterator

import pytest

from tests.e2e.apps import serving
from tests.e2e.apps.journal import Journal
from tests.e2e.stand import Stand
from tests.waiting import wait_until

CONTENT = b"".join(b"line %d\n" % number for number in range(300_000))


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    folder = tmp_path_factory.mktemp("files")
    (folder / "file").write_bytes(CONTENT)
    with gzip.open(folder / "file.gz", "wb", compresslevel=1) as compressed:
        compressed.write(CONTENT)
    return Journal(folder / "journal")


@pytest.fixture(scope="module")
def stand(journal: Journal) -> Iterator[Stand]:
    with serving("responses:app", "--workers", "1", "--threads", "2", env=journal.env) as stand:
        yield stand


@pytest.mark.parametrize("kind", ["plain", "raw", "temporary", "memory"])
def test_a_file_is_sent_from_where_it_stands(stand: Stand, kind: str) -> None:
    assert stand.get(f"/file?{kind}").body == CONTENT[3:]


def test_a_compressed_file_is_sent_as_it_reads(stand: Stand) -> None:
    # Its `fileno` is that of the compressed bytes.
    assert stand.get("/file?gzip").body == CONTENT[3:]


def test_a_pipe_is_sent_to_its_end(stand: Stand) -> None:
    assert stand.get("/file?pipe").body == CONTENT[3:60_000]


def test_a_file_follows_what_was_written_before(stand: Stand) -> None:
    assert stand.get("/file?after-write").body == b"before " + CONTENT[3:]


def test_a_file_that_hides_its_size_is_sent(stand: Stand) -> None:
    assert stand.get("/file-of-the-system").text.startswith("Name:\t")


def test_a_plain_files_length_is_told(stand: Stand) -> None:
    assert stand.get("/file?plain").headers["content-length"] == str(len(CONTENT) - 3)


def test_a_head_request_gets_no_file(stand: Stand) -> None:
    answer = stand.request("HEAD", "/file?plain")
    assert (answer.status, answer.body) == (200, b"")


def test_the_file_is_closed(stand: Stand, journal: Journal) -> None:
    stand.get("/file?memory")
    wait_until(lambda: "closed unnumbered" in journal.lines(), stand.describe)
