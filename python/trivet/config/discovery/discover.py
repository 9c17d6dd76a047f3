"""The order in which an app is looked for, and what is said when there is none."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from trivet.config.discovery import expression, frameworks, search
from trivet.config.discovery.module import (
    Interface,
    Module,
    locate,
    read_module,
    source_of,
    syntax_error_in,
)
from trivet.config.loaded import ConfiguredApp
from trivet.config.suggestion import nearest
from trivet.config.value.path import expanded, is_file, is_folder
from trivet.errors import AppLoadError, ConfigError, Place


class Discovered(msgspec.Struct, frozen=True, kw_only=True):
    """The app that was found; nothing of it has been imported.

    Attributes:
        target: Its name: `module:attribute`, `module:factory(…)`, or `module` alone.
        module: Dotted, to be imported with `directory` first on `sys.path`.
        expression: An attribute, dotted attributes, or a call of one with literal arguments; empty
            if only the import can tell which of the usual names is there.
        directory: Absolute.
        found_because: For people: `found in app.py`, `FLASK_APP`.
        interface: What the settings say, else what reading the source tells, else `None`.
        framework: What reading the source tells: `Flask`; `None` if nothing.
    """

    target: str
    module: str
    expression: str
    directory: Path
    found_because: str
    interface: Interface | None
    framework: str | None


def discover(app: ConfiguredApp, environ: Mapping[str, str]) -> Discovered:
    """Find the app: as named, else as a framework names it, else by looking around.

    Args:
        app: `settings.app`, with the argument and `TRIVET_APP` in it, names it.
        environ: `FLASK_APP` and `DJANGO_SETTINGS_MODULE` count, where there is only one app.

    Raises:
        AppLoadError: If there is none, or several that nothing tells apart.
        ConfigError: If `factory` is set and the name is a call already.
    """
    folder = app.folder
    named, because = _named(app, environ, folder)
    if named is None:
        candidate = search.in_folder(folder)
        if candidate is None:
            raise _not_found(folder)
        because = f"found in {_short(candidate.file, folder)}"
    else:
        candidate = _candidate(named, folder)
    candidate = _with_factory(candidate, named, app)
    interface = app.settings.interface
    return Discovered(
        target=candidate.target,
        module=candidate.module,
        expression=candidate.expression,
        directory=candidate.folder,
        found_because=because,
        interface=candidate.interface if interface == "auto" else interface,
        framework=candidate.label if candidate.label[:1].isupper() else None,
    )


def _named(app: ConfiguredApp, environ: Mapping[str, str], folder: Path) -> tuple[str | None, str]:
    """Give the name that somebody wrote down, and who."""
    if app.settings.app is not None:
        origin = app.origins["app"].text
        return app.settings.app, {"argument": "as named"}.get(origin, f"named by {origin}")
    if not app.name and environ.get("FLASK_APP"):
        return environ["FLASK_APP"], "named by FLASK_APP"
    if entrypoint := frameworks.fastapi_entrypoint(folder):
        return entrypoint, "named by [tool.fastapi] in pyproject.toml"
    settings_module = None if app.name else environ.get("DJANGO_SETTINGS_MODULE")
    if django := frameworks.django_app(folder, settings_module):
        return django, "found by manage.py"
    return None, ""


def _candidate(target: str, folder: Path) -> search.Candidate:
    """Turn a name into a candidate."""
    left, colon, right = target.strip().partition(":")
    wanted = expression.checked(right, target) if colon else None
    if _is_path(left) or _is_plain_folder(left, folder):
        return _at_path(left, wanted, folder, target)
    if not all(part.isidentifier() for part in left.split(".")):
        raise expression.bad(target)
    spec = locate(left, folder)
    if spec is None:
        raise _no_module(left, wanted, folder)
    return _in_module(left, source_of(spec), wanted, folder)


def _is_path(text: str) -> bool:
    return text.endswith(".py") or "/" in text or text in {".", ".."}


def _is_plain_folder(text: str, folder: Path) -> bool:
    """Say whether a name is a folder's and no module's: a folder without `__init__.py` is both."""
    if not text or not is_folder(folder / text):
        return False
    spec = locate(text, folder) if text.isidentifier() else None
    return spec is None or not spec.has_location


def _at_path(text: str, wanted: str | None, folder: Path, target: str) -> search.Candidate:
    path = (folder / expanded(text)).resolve()
    if is_folder(path) and not is_file(path / "__init__.py"):
        if wanted is not None:
            raise expression.bad(target)
        candidate = search.in_folder(path)
        if candidate is None:
            raise _not_found(path)
        return candidate
    file = path / "__init__.py" if is_folder(path) else path
    if not is_file(file):
        raise _no_file(text, path, wanted)
    module, root = _module_of(file)
    return _in_module(module, file, wanted, root)


def _module_of(file: Path) -> tuple[str, Path]:
    """Give a file's dotted name, and the folder that it is imported from: above its packages."""
    parts = [] if file.name == "__init__.py" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _in_module(
    module: str, file: Path | None, wanted: str | None, folder: Path
) -> search.Candidate:
    read = read_module(file, module) if file else None
    if wanted is not None:
        return _made(module, wanted, file, folder, read)
    found = search.in_module(file, module, folder, read) if file and read else []
    if len(found) == 1:
        return found[0]
    if found:
        raise search.ambiguous(found, folder)
    if file and read and file.name == "__init__.py":
        inner = search.in_package(file.parent, module, folder)
        if inner is not None:
            return inner
    if read is None or not read.is_transparent:
        # Only the import can tell: the worker looks for the usual names in what was made.
        return _made(module, "", file, folder, read)
    raise _no_app(module, file, folder, read)


def _made(
    module: str, wanted: str, file: Path | None, folder: Path, read: Module | None
) -> search.Candidate:
    """Make a candidate of a name that was asked for: it is believed, whatever reading tells."""
    name = read.names.get(expression.first_name(wanted)) if read else None
    is_attribute = name is not None and "." not in wanted.partition("(")[0]
    return search.Candidate(
        module=module,
        expression=wanted,
        folder=folder,
        file=file or folder,
        label=name.kind if name and is_attribute else "",
        interface=name.interface if name and is_attribute else None,
        imports=frozenset(),
    )


def _with_factory(
    candidate: search.Candidate, named: str | None, app: ConfiguredApp
) -> search.Candidate:
    """Call the name if `factory` says so; a factory that was found is called already."""
    if not app.settings.factory or not candidate.expression:
        return candidate
    if not expression.is_call(candidate.expression):
        return msgspec.structs.replace(candidate, expression=f"{candidate.expression}()")
    if named is not None and "(" in named:
        raise ConfigError(
            f"`factory` calls the app's name, but `{named}` is a call already",
            code="config.conflict",
            hint="drop one of them",
            place=app.origins["factory"].place,
        )
    return candidate


def _no_module(module: str, wanted: str | None, folder: Path) -> AppLoadError:
    names = _modules_here(folder)
    meant = nearest(module, names)
    if meant is None:
        meant = next((each for each in names if names[each].name in search.FILES), None)
    hint = None
    top = module.partition(".")[0]
    if meant:
        hint = f"did you mean `{meant}`?  ({_short(names[meant], folder)} is here)"
    elif locate(top, folder / "src") is not None and (folder / "src").is_dir():
        hint = f"trivet serve --app-dir src {_quoted(f'{module}:{wanted}' if wanted else module)}"
    return AppLoadError(
        f"no module `{module}`", code="app.no_module", hint=hint, detail=f"looked in {folder}"
    )


def _modules_here(folder: Path) -> dict[str, Path]:
    """List the modules in a folder that an app could be in: files, packages, what is in those."""
    found: dict[str, Path] = {}
    usual = [folder / name for name in search.FILES]
    for file in [*usual, *(sorted(folder.glob("*.py")) if folder.is_dir() else ())]:
        if file.is_file():
            found.setdefault(file.stem, file)
    for package in search.packages(folder):
        found.setdefault(package.name, package)
        for file in sorted(package.glob("*.py")):
            if file.stem != "__init__":
                found.setdefault(f"{package.name}.{file.stem}", file)
    return found


def _no_file(text: str, path: Path, wanted: str | None) -> AppLoadError:
    near = sorted(path.parent.glob("*.py")) if is_folder(path.parent) else []
    meant = nearest(path.name, [each.name for each in near])
    name = str(Path(text).with_name(meant)) if meant else ""
    again = f"{name}:{wanted}" if wanted else name
    return AppLoadError(
        f"no file `{text}`",
        code="app.no_module",
        detail=f"looked for {path}",
        hint=f"did you mean {_quoted(again)}?" if meant else None,
    )


def _no_app(module: str, file: Path | None, folder: Path, read: Module) -> AppLoadError:
    where = _short(file, folder) if file else f"module `{module}`"
    names = search.described(read)
    return AppLoadError(
        f"no app in {where}",
        code="app.no_app",
        detail=f"{where} has:  {names}\n{_looked_for()}" if names else _looked_for(),
        hint=f"name it: trivet serve {module}:NAME",
    )


def _not_found(folder: Path) -> AppLoadError:
    for name in search.FILES:
        if broken := syntax_error_in(folder / name):
            return _broken(name, broken)
    lines = [
        f"looked for:  {', '.join(search.FILES)} in {folder}, in its packages and in src/",
        _looked_for(),
    ]
    hint = "name it: trivet serve MODULE:NAME"
    for module, file in _modules_here(folder).items():
        read = read_module(file, module) if file.is_file() else None
        found = search.in_module(file, module, folder, read) if read else []
        if found:
            lines.append(f"found:  {_short(file, folder)} has {found[0].expression}")
            hint = f"trivet serve {_quoted(found[0].target)}"
            break
    detail = "\n".join(lines)
    return AppLoadError(f"no app found in {folder}", code="app.not_found", detail=detail, hint=hint)


def _broken(name: str, error: SyntaxError) -> AppLoadError:
    line, column, text = error.lineno or 0, error.offset or 0, (error.text or "").rstrip("\n")
    return AppLoadError(
        f"{type(error).__name__} in {name}: {error.msg}",
        code="app.syntax_error",
        place=Place(name, line, column, text=text),
        detail="no app was looked for in it",
    )


def _looked_for() -> str:
    return "with a name:  app, application, create_app(), make_app(), or the only Flask, … in it"


def _quoted(target: str) -> str:
    return f'"{target}"' if "(" in target else target


def _short(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
