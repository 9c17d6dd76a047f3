"""`wsgi.file_wrapper`: what an app wraps a file in, so that the edge can send it."""

import io
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, Protocol


class Readable(Protocol):
    """What can be wrapped; a `fileno` lets the edge send it without Python."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, `b""` at the end."""


class FileWrapper:
    """An iterable over a file; the native loop looks for its `filelike` first.

    Spec: PEP 3333, "Optional Platform-Specific File Handling".
    """

    def __init__(self, filelike: Readable, block_size: int = 8192) -> None:
        self.filelike = filelike
        self.block_size = block_size
        close: Callable[[], object] | None = getattr(filelike, "close", None)
        if close is not None:
            # An instance attribute: the server must call `close` only where the file has one.
            self.close = close

    def plain_file(self) -> "io.FileIO | io.BufferedReader | io.BufferedRandom | None":
        """Return the file whose descriptor gives the very bytes that `read` would.

        A `fileno` alone does not say so: that of `gzip.open()` gives compressed bytes.
        """
        file: Any = self.filelike
        if isinstance(file, tempfile._TemporaryFileWrapper):  # noqa: SLF001 - has no public name
            file = file.file
        raw = file.raw if type(file) in {io.BufferedReader, io.BufferedRandom} else file
        return file if type(raw) is io.FileIO else None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if block := self.filelike.read(self.block_size):
            return block
        raise StopIteration
