"""Request content that is still on its way, as a raw stream below `io.BufferedReader`."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from trivet import _trivet


class RawContent(io.RawIOBase):
    """What the client is sending, as the native loop passes it on."""

    def __init__(self, content: "_trivet.StreamedContent") -> None:
        self._content = content

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        """Wait for some content and put it into `buffer`; 0 at the end.

        Raises:
            OSError: The client went away before it had sent everything.
        """
        view = memoryview(buffer).cast("B")
        data = self._content.read(len(view))
        view[: len(data)] = data
        return len(data)
