"""Tracebacks as the app's developer wants them: without Trivet's and the import system's frames."""

import functools
import os
import site
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from trivet.errors import Place

_TRIVET = str(Path(__file__).parent.parent) + os.sep
_IMPORT_SYSTEM = ("<frozen importlib", f"importlib{os.sep}__init__.py")
_FIRST_LINE = "Traceback (most recent call last):"
_SUMMARY_CHARACTERS = 200


def format_trimmed(error: BaseException, source: traceback.FrameSummary | None = None) -> str:
    """Return the traceback as Python prints it, but only with frames of the app and libraries.

    Args:
        error: What was raised.
        source: The line to show where no frame is left.
    """
    trace = traceback.TracebackException.from_exception(error)
    for part in _with_causes(trace, set()):
        part.stack[:] = [frame for frame in part.stack if not _is_machinery(frame.filename)]
        _indent_message(part)
    if source and not trace.stack:
        trace.stack.append(source)
    text = "".join(trace.format())
    # Python leaves the first line out where no frame is left; logs are read by it.
    is_headless = text[:1].isalpha() and not text.startswith(_FIRST_LINE)
    return f"{_FIRST_LINE}\n{text}" if is_headless else text


def summarise(error: BaseException) -> str:
    """Return `ZeroDivisionError: division by zero`, on one line."""
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - the app's own `__str__`
        return name
    # It goes into a log of UTF-8, which has no lone surrogates.
    text = text.encode("utf-8", "backslashreplace").decode()
    return f"{name}: {text}"[:_SUMMARY_CHARACTERS] if text else name


def app_frame(trace: TracebackType | None) -> traceback.FrameSummary | None:
    """Return the innermost frame of the app's own source, or of a library if there is none."""
    frames = outer_frames(trace)
    own = [frame for frame in frames if is_app_file(frame.filename)] or frames
    return own[-1] if own else None


def outer_frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """Return all frames, outermost first, but those of Trivet and the import system."""
    frames = traceback.extract_tb(trace)
    return [frame for frame in frames if not _is_machinery(frame.filename)]


def describe_frame(frame: traceback.FrameSummary | None) -> str:
    """Return `app.py:17 in boom`, or nothing."""
    if frame is None:
        return ""
    return f"{shown_path(frame.filename)}:{frame.lineno} in {frame.name}"


def place_of(frame: traceback.FrameSummary | None) -> Place | None:
    """Return the frame's line, with its text."""
    if frame is None:
        return None
    return Place(shown_path(frame.filename), frame.lineno or 0, text=frame.line or "")


def is_app_file(filename: str) -> bool:
    """Tell the app's source from libraries, the standard library, and what is no file."""
    path = str(Path(filename).absolute())
    return not (
        _is_machinery(filename) or filename.startswith("<") or path.startswith(_library_folders())
    )


def shown_path(filename: str) -> str:
    """Return the path as somebody in the current folder would write it."""
    path, folder = Path(filename).absolute(), Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _is_machinery(filename: str) -> bool:
    return filename.startswith((_TRIVET, _IMPORT_SYSTEM[0])) or filename.endswith(_IMPORT_SYSTEM[1])


@functools.lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    folders = {
        *site.getsitepackages(),
        site.getusersitepackages(),
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    }
    return tuple(f"{folder}{os.sep}" for folder in folders)


def _indent_message(trace: traceback.TracebackException) -> None:
    """Indent the further lines of a message, so that they are seen to belong to the traceback."""
    text = getattr(trace, "_str", None)
    if isinstance(text, str):
        trace._str = text.replace("\n", "\n  ")  # type: ignore[attr-defined] # noqa: SLF001 - no other way
    notes = getattr(trace, "__notes__", None)
    if isinstance(notes, list):
        trace.__notes__ = [f"  {note}".replace("\n", "\n  ") for note in notes]


def _with_causes(
    trace: traceback.TracebackException | None, seen: set[int]
) -> Iterator[traceback.TracebackException]:
    if trace is None or id(trace) in seen:
        return
    seen.add(id(trace))
    yield trace
    yield from _with_causes(trace.__cause__, seen)
    yield from _with_causes(trace.__context__, seen)
    for inner in getattr(trace, "exceptions", None) or ():
        yield from _with_causes(inner, seen)
