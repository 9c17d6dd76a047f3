"""Looking for an app in a folder that nobody named a module of."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from trivet.config.discovery.module import Interface, Module, Name, locate, read_module, source_of
from trivet.errors import AppLoadError

FILES: Final = ("app.py", "wsgi.py", "main.py", "asgi.py")
NAMES: Final = ("app", "application", "create_app", "make_app")
_FACTORIES: Final = ("create_app", "make_app")
_SERVER_FILES: Final = ("wsgi", "asgi")
_PASSED_OVER: Final = {
    "build", "dist", "docs", "env", "migrations", "node_modules", "site-packages", "static",
    "templates", "test", "tests", "venv",
}  # fmt: skip


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An app that could be meant.

    Attributes:
        module: Dotted name, imported with `folder` on `sys.path`.
        made_by: Module that the app itself is from; empty if it is made here.
        file: Its source.
        label: What it is, for people: `Flask`, `function`.
    """

    module: str
    expression: str
    folder: Path
    file: Path
    label: str
    interface: Interface | None
    imports: frozenset[str]
    made_by: str = ""

    @property
    def target(self) -> str:
        """The app's name."""
        return f"{self.module}:{self.expression}" if self.expression else self.module


def in_module(file: Path, dotted: str, folder: Path, read: Module) -> list[Candidate]:
    """List what could be the app of a module: one by its usual name, else every instance."""
    usual = [read.names[name] for name in NAMES if name in read.names]
    chosen = next((name for name in usual if _is_usable(name, folder)), None)
    names = [chosen] if chosen else [name for name in read.names.values() if name.is_instance]
    return [
        Candidate(
            module=dotted,
            expression=f"{name.name}()" if _is_factory(name) else name.name,
            folder=folder,
            file=file,
            label=name.kind,
            interface=name.interface,
            imports=read.imports,
            made_by=name.imported_from or name.made_by,
        )
        for name in names
    ]


def in_folder(folder: Path) -> Candidate | None:
    """Find the app in a folder: its files, its packages, `src/`, the packages there.

    Raises:
        AppLoadError: If there are several, and none stands before the others.
    """
    for place in _places(folder):
        found = [each for file, dotted, root in place for each in _of_file(file, dotted, root)]
        if found:
            return _one_of(found, folder)
    return None


def in_package(package: Path, dotted: str, root: Path) -> Candidate | None:
    """Find the app in the usual files of a package that was named.

    Raises:
        AppLoadError: As `in_folder`.
    """
    files = [(package / name, f"{dotted}.{name.removesuffix('.py')}", root) for name in FILES]
    found = [each for file, module, _ in files for each in _of_file(file, module, root)]
    return _one_of(found, root) if found else None


def ambiguous(found: Sequence[Candidate], folder: Path) -> AppLoadError:
    """Say that nothing tells several candidates apart."""
    width = max(len(each.target) for each in found)
    lines = [
        f"{each.target:<{width}}  {each.label} in {_short(each.file, folder)}" for each in found
    ]
    return AppLoadError(
        f"{len(found)} apps found, and nothing says which one to serve",
        code="app.ambiguous",
        detail="\n".join(lines),
        hint=f"trivet serve {found[0].target}",
    )


def described(read: Module) -> str:
    """List the names of a module that could be meant by an app's name."""
    names = [name for name in read.names.values() if _is_own(name)]
    return ", ".join(f"{name.name} ({name.kind})" for name in names)


def packages(folder: Path) -> Iterator[Path]:
    """Give the packages in a folder; `app` counts without an `__init__.py` too."""
    for inner in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not inner.is_dir() or not inner.name.isidentifier() or inner.name in _PASSED_OVER:
            continue
        if (inner / "__init__.py").is_file() or inner.name == "app":
            yield inner


def _places(folder: Path) -> Iterator[list[tuple[Path, str, Path]]]:
    """Give where to look, one place after the other; a place is a list of files."""
    for root in (folder, folder / "src"):
        yield [(root / name, name.removesuffix(".py"), root) for name in FILES]
        yield [
            (
                package / name,
                f"{package.name}.{name}".removesuffix(".py").removesuffix(".__init__"),
                root,
            )
            for package in packages(root)
            for name in (*FILES, "__init__.py")
        ]


def _of_file(file: Path, dotted: str, root: Path) -> Iterable[Candidate]:
    read = read_module(file, dotted) if file.is_file() else None
    return in_module(file, dotted, root, read) if read else ()


def _one_of(found: Sequence[Candidate], folder: Path) -> Candidate:
    """Choose between files that belong together: one imports the other.

    A file with several apps is no answer, but one that picks out of it is. The file that is named
    for the servers' protocol is the one made for a server; without it the first in the usual order
    is taken.
    """
    groups = _groups(found)
    if len(groups) > 1 and not _are_twins(found):
        raise ambiguous([group[0] for group in groups], folder)
    files = [each.file for each in found]
    clear = [each for each in found if files.count(each.file) == 1]
    if not clear:
        raise ambiguous(found, folder)
    servers = [each for each in clear if each.file.stem in _SERVER_FILES]
    return [*servers, *clear][0]


def _groups(found: Sequence[Candidate]) -> list[list[Candidate]]:
    """Put together what imports one another; the order stays."""
    groups: list[list[Candidate]] = []
    for each in found:
        near = [g for g in groups if any(_builds_on(each, o) or _builds_on(o, each) for o in g)]
        joined = [other for group in near for other in group] + [each]
        groups = [group for group in groups if group not in near] + [joined]
    return groups


def _builds_on(one: Candidate, other: Candidate) -> bool:
    """Say whether one imports the other, or both have the app from the same module."""
    if one.file == other.file:
        return False
    return other.module in one.imports or (one.made_by != "" and one.made_by == other.made_by)


def _are_twins(found: Sequence[Candidate]) -> bool:
    """Say whether these are `wsgi.py` and `asgi.py` of one project."""
    return {each.file.stem for each in found} == set(_SERVER_FILES) and (
        len({each.file.parent for each in found}) == 1
    )


def _is_usable(name: Name, folder: Path) -> bool:
    if name.is_module or name.kind == "class":
        return False
    if name.imported_from:
        return not _is_submodule(name, folder)
    if name.name in _FACTORIES:
        return not name.needs_arguments
    return not name.is_function or name.interface is not None


def _is_submodule(name: Name, folder: Path) -> bool:
    """Say whether `from package import name` gives a module, not what the package made."""
    if locate(f"{name.imported_from}.{name.name}", folder) is None:
        return False
    file = source_of(locate(name.imported_from, folder))
    read = read_module(file, name.imported_from) if file else None
    return read is None or name.name not in read.names


def _is_factory(name: Name) -> bool:
    return name.name in _FACTORIES


def _is_own(name: Name) -> bool:
    return (
        not name.is_module
        and not name.name.startswith("_")
        and (name.is_instance or name.name in NAMES or (name.is_function and not name.is_decorated))
    )


def _short(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
