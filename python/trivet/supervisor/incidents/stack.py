"""The Python stack in a dead worker's last words on standard error."""

_FATAL = b"Fatal Python error:"
"""How `faulthandler` begins what it writes at a fatal signal."""
_TRACEBACK = b"Traceback (most recent call last):"


def last_stack(words: bytes) -> str:
    """Return the last stack in `words`, or nothing.

    What the interpreter wrote as it died beats a traceback, which may be of an earlier request.
    A traceback counts only where it is the last thing that was said.
    """
    at = words.rfind(_FATAL)
    if at < 0:
        at = words.rfind(_TRACEBACK)
        if at < 0 or not _is_last(words[at:]):
            return ""
    return words[at:].decode("utf-8", "backslashreplace").rstrip()


def _is_last(words: bytes) -> bool:
    """Say whether a traceback ends the words: below its frames comes one line, the exception."""
    lines = words.rstrip().split(b"\n")[1:]
    below = [line for line in lines if not line.startswith(b" ")]
    return len(below) == 1 and below[0] is lines[-1]
