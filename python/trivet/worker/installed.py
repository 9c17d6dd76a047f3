"""Where a missing module might be had: another virtual environment, or the project's installer."""

import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from trivet.worker import traces

_VENV_NAMES = (".venv", "venv", "env", ".env")
_LEVELS_UP = 3

# Modules whose distribution has another name, of those that apps use most.
_DISTRIBUTIONS: Mapping[str, str] = {
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "flask_cors": "flask-cors",
    "flask_login": "flask-login",
    "flask_migrate": "flask-migrate",
    "flask_sqlalchemy": "flask-sqlalchemy",
    "flask_wtf": "flask-wtf",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "psycopg2": "psycopg2-binary",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def this_python() -> str:
    """Name the Python that runs the app."""
    return f"this Python: {sys.executable} ({platform.python_version()})"


def install_hint(module: str, folder: Path) -> str:
    """Return the command that adds a module to the project in `folder`."""
    distribution = _DISTRIBUTIONS.get(module, module.replace("_", "-"))
    for parent in _upwards(folder):
        if (parent / "uv.lock").is_file():
            return f"uv add {distribution}"
        if (parent / "poetry.lock").is_file():
            return f"poetry add {distribution}"
        if _mentions(parent / "requirements.txt", distribution):
            file = traces.shown_path(str(parent / "requirements.txt"))
            return f"{_pip()} install -r {file}"
    return f"{_pip()} install {distribution}"


def venv_with(module: str, folders: Iterable[Path]) -> Path | None:
    """Find a virtual environment near the app, other than this one, that has the module."""
    for folder in folders:
        for parent in _upwards(folder):
            for venv in (parent / name for name in _VENV_NAMES):
                if venv.resolve() != Path(sys.prefix).resolve() and _has(venv, module):
                    return venv
    return None


def _has(venv: Path, module: str) -> bool:
    if not (venv / "pyvenv.cfg").is_file():
        return False
    folders = venv.glob("lib/python*/site-packages")
    return any(
        (folder / module).is_dir() or (folder / f"{module}.py").is_file() for folder in folders
    )


def _mentions(file: Path, distribution: str) -> bool:
    try:
        lines = file.read_text("utf-8", "replace").lower().replace("_", "-").splitlines()
    except OSError:
        return False
    return any(line.strip().startswith(distribution.lower()) for line in lines)


def _pip() -> str:
    """Name the pip of this Python, so that the module lands where the app will look for it."""
    if sys.prefix != sys.base_prefix:
        return f"{traces.shown_path(sys.prefix)}/bin/pip"
    return f"{sys.executable} -m pip"


def _upwards(folder: Path) -> Iterator[Path]:
    absolute = folder.absolute()
    yield absolute
    yield from absolute.parents[:_LEVELS_UP]
