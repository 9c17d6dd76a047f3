"""Reading the answer to a raw upload."""

from __future__ import annotations

import pytest

from bench.verbs.upload import answer_text


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n2147483648\n", "200 2147483648"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n2147483648\n\r\n0\r\n\r\n",
            "200 2147483648",
        ),
        (b"HTTP/1.1 413 Content Too Large\r\n\r\n<h1>413</h1>", "413"),
        (b"", ""),
    ],
)
def test_an_answer_reads_as_its_status_and_the_length_it_tells(response: bytes, text: str) -> None:
    """Chunk sizes are not taken for the length."""
    assert answer_text(response) == text
