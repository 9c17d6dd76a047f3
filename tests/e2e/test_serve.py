"""The main job: an app, an edge, workers, an answer."""

from tests.e2e.conftest import Serve

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""


def test_an_app_is_found_and_served(serve: Serve) -> None:
    stand = serve(HELLO, "--workers", "1")
    answer = stand.get("/")
    assert (answer.status, answer.body) == (200, b"hello")


def test_every_request_has_one_log_line(serve: Serve) -> None:
    stand = serve(HELLO, "--workers", "1")
    stand.get("/once?x=1")
    line = stand.wait_for_request(lambda line: line["path"] == "/once")
    assert (line["method"], line["status"], line["bytes_out"]) == ("GET", 200, 5)
    assert stand.stop() == 0
    assert len(stand.requests()) == 1
