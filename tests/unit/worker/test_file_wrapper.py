import io

from trivet.worker.file_wrapper import FileWrapper


class Endless:
    def read(self, size: int) -> bytes:
        return b"x" * size


def test_it_gives_the_file_in_blocks() -> None:
    assert list(FileWrapper(io.BytesIO(b"abcde"), 2)) == [b"ab", b"cd", b"e"]


def test_it_closes_the_file() -> None:
    file = io.BytesIO(b"abc")
    FileWrapper(file).close()
    assert file.closed


def test_without_a_close_of_the_file_it_has_none() -> None:
    assert not hasattr(FileWrapper(Endless()), "close")
