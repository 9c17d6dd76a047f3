"""What frameworks write down about where their app is: Django's settings, FastAPI's entry point."""

import ast
import re
from pathlib import Path
from typing import Final

from trivet.config.source.toml import TOMLDecodeError, loads

_SETTINGS: Final = re.compile(r"[A-Za-z_][\w.]*")


def fastapi_entrypoint(folder: Path) -> str | None:
    """Read `entrypoint` of `[tool.fastapi]` in a folder's `pyproject.toml`."""
    try:
        document = loads((folder / "pyproject.toml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, TOMLDecodeError):
        return None
    tool = document.get("tool")
    table = tool.get("fastapi") if isinstance(tool, dict) else None
    entrypoint = table.get("entrypoint") if isinstance(table, dict) else None
    return entrypoint if isinstance(entrypoint, str) and entrypoint else None


def django_app(folder: Path, told: str | None) -> str | None:
    """Find the app of a Django project by its `manage.py`.

    Args:
        folder: Where `manage.py` lies.
        told: `DJANGO_SETTINGS_MODULE`; if empty, what `manage.py` sets counts.

    Returns:
        `module:attribute`: `ASGI_APPLICATION` if the settings have it, else `WSGI_APPLICATION`,
        else the `wsgi.py` beside the settings; `None` if none of them is there.
    """
    manage = folder / "manage.py"
    settings = told or (_settings_module(manage) if manage.is_file() else None)
    if settings is None or not manage.is_file():
        return None
    named = _named_in(folder, settings)
    if named:
        module, _, attribute = named.rpartition(".")
        return f"{module}:{attribute}"
    package = settings.partition(".")[0]
    for name in ("wsgi", "asgi"):
        if (folder / package / f"{name}.py").is_file():
            return f"{package}.{name}:application"
    return None


def _settings_module(manage: Path) -> str | None:
    for node in ast.walk(_parsed(manage)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            values = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if node.func.attr == "setdefault" and values[:1] == ["DJANGO_SETTINGS_MODULE"]:
                settings = values[1] if len(values) > 1 else None
                if isinstance(settings, str) and _SETTINGS.fullmatch(settings):
                    return settings
    return None


def _named_in(folder: Path, settings: str) -> str | None:
    """Look into the settings, and into those beside them that they may start from."""
    file = folder.joinpath(*settings.split("."))
    beside = sorted(file.parent.glob("*.py")) if file.parent != folder else []
    files = [file.with_suffix(".py"), file / "__init__.py", file / "base.py", *beside]
    found: dict[str, str] = {}
    for each in files:
        for node in ast.walk(_parsed(each)) if each.is_file() else ():
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                        found.setdefault(target.id, node.value.value)
    return found.get("ASGI_APPLICATION") or found.get("WSGI_APPLICATION")


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])
