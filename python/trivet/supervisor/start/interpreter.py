"""Another Python for an app: what it must be, and how Trivet's worker runs in it.

The worker is pure Python beside one native module, and that is built for the stable ABI of CPython
3.10 (PEP 384), so the package that runs here runs there too: `cli/bootstrap.py` lets that
Python find `trivet` in this installation, and everything else where it always does.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from trivet.errors import ConfigError
from trivet.supervisor import spawn
from trivet.supervisor.start.identity import Identity

OLDEST = (3, 10)
PROBE_S = 20.0
"""What the other Python may take to say its version, from a cold disk."""

# For every Python that there may be: so old ones can be named.
_PROBE = (
    "import platform, sys, sysconfig; sys.stdout.write(' '.join(["
    "platform.python_implementation(), '.'.join(map(str, sys.version_info[:3])),"
    "str(sysconfig.get_config_var('Py_GIL_DISABLED') or 0)]))"
)
_BOOTSTRAP = Path(__file__).parent.parent.parent / "cli" / "bootstrap.py"


def python_for(told: Path | None, identity: Identity | None) -> Sequence[str]:
    """Return the command line that a command of Trivet follows, for an app's processes.

    Args:
        told: An interpreter or the folder of a virtual environment; `None` for this Python.
        identity: As whom to ask it what it is: its folder may be that user's to write to.

    Raises:
        ConfigError: It is missing, does not run, or is no CPython that the worker runs in.
    """
    if told is None:
        return spawn.python_command()
    python = told / "bin" / "python" if told.is_dir() else told
    if python.absolute() == Path(sys.executable):
        return spawn.python_command()
    if not python.is_file():
        raise _bad(
            f"there is no Python at `{told}`", "name a virtual environment or its bin/python"
        )
    version = _version(python, identity)
    safe = ["-P"] if version >= (3, 11) else []
    return [str(python), *safe, str(_BOOTSTRAP)]


def _version(python: Path, identity: Identity | None) -> tuple[int, ...]:
    implementation, version, free_threaded = _ask(python, identity)
    if implementation != "CPython":
        raise _bad(
            f"`{python}` is {implementation}, not CPython", "make the environment with CPython"
        )
    numbers = tuple(map(int, version.split(".")))
    if numbers < OLDEST:
        hint = "make the environment with Python 3.10 or later"
        raise _bad(f"`{python}` is Python {version}, too old", hint)
    if free_threaded != "0":
        hint = "make the environment with the ordinary build"
        raise _bad(f"`{python}` is a free-threaded Python, which Trivet does not run in yet", hint)
    return numbers


def _ask(python: Path, identity: Identity | None) -> list[str]:
    try:
        asked = subprocess.run(
            [python, "-S", "-c", _PROBE],
            cwd="/",
            env=spawn.child_environment({}, identity),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_S,
            check=True,
            **spawn.popen_identity(identity),
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it does not say its version"
        whom = f" as user `{identity.name or identity.uid}`" if identity else ""
        raise _bad(f"`{python}` does not run{whom}: {reason}", f"try `{python} -V`") from error
    words: list[str] = asked.stdout.split()
    if len(words) != len(("implementation", "version", "free-threaded")):
        raise _bad(f"`{python}` is no Python", f"try `{python} -V`")
    return words


def _bad(message: str, hint: str) -> ConfigError:
    return ConfigError(message, code="config.bad_python", hint=hint)
