"""Finding a module's file, and the names at its top, without importing it."""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Final, Literal

import msgspec

Interface = Literal["wsgi", "asgi"]

_FRAMEWORKS: Final[Mapping[str, tuple[str, Interface]]] = {
    "apiflask.APIFlask": ("APIFlask", "wsgi"),
    "blacksheep.Application": ("BlackSheep", "asgi"),
    "bottle.Bottle": ("Bottle", "wsgi"),
    "bottle.default_app": ("Bottle", "wsgi"),
    "channels.routing.ProtocolTypeRouter": ("Django Channels", "asgi"),
    "connexion.AsyncApp": ("Connexion", "asgi"),
    "connexion.FlaskApp": ("Connexion", "wsgi"),
    "django.core.asgi.get_asgi_application": ("Django", "asgi"),
    "django.core.wsgi.get_wsgi_application": ("Django", "wsgi"),
    "falcon.API": ("Falcon", "wsgi"),
    "falcon.App": ("Falcon", "wsgi"),
    "falcon.asgi.App": ("Falcon", "asgi"),
    "fastapi.FastAPI": ("FastAPI", "asgi"),
    "flask.Flask": ("Flask", "wsgi"),
    "flask.app.Flask": ("Flask", "wsgi"),
    "litestar.Litestar": ("Litestar", "asgi"),
    "quart.Quart": ("Quart", "asgi"),
    "sanic.Sanic": ("Sanic", "asgi"),
    "starlette.applications.Starlette": ("Starlette", "asgi"),
}
_WSGI_PARAMETERS: Final = 2
_ASGI_PARAMETERS: Final = 3
_OPAQUE_CALLS: Final = {"exec", "globals", "setattr", "vars", "locals"}


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """A name at the top of a module.

    Attributes:
        kind: For people: `Flask`, `function`, `class`, `import`, `value`.
        interface: How it is called, if that can be seen.
        is_instance: Whether it is an object of a framework's app class.
        is_function: Whether it is a plain function.
        needs_arguments: Whether that function cannot be called without any.
        is_decorated: Whether it has a decorator, as views have.
        imported_from: Module that it comes from, dotted and absolute; empty if it is made here.
        made_by: Module of the function that makes it, if that is imported and no framework's.
        is_module: Whether it certainly is a module.
    """

    name: str
    line: int
    kind: str
    interface: Interface | None = None
    is_instance: bool = False
    is_function: bool = False
    needs_arguments: bool = False
    is_decorated: bool = False
    imported_from: str = ""
    made_by: str = ""
    is_module: bool = False


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a module's source tells.

    Attributes:
        is_transparent: Whether no name can be there that reading does not see.
    """

    names: Mapping[str, Name]
    imports: frozenset[str]
    is_transparent: bool


def locate(module: str, folder: Path) -> ModuleSpec | None:
    """Find a module as the import system would, with `folder` first; no code of it runs.

    A dotted name is followed through its packages' folders.
    """
    importlib.invalidate_caches()
    search: list[str] | None = [str(folder), *sys.path]
    name = ""
    spec: ModuleSpec | None = None
    for part in module.split("."):
        if search is None:
            return None
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, search)
        if spec is None and "." not in name:
            spec = _installed(name)
        if spec is None:
            return None
        locations = spec.submodule_search_locations
        search = None if locations is None else list(locations)
    return spec


def source_of(spec: ModuleSpec | None) -> Path | None:
    """Give the file with a module's source, if it has one."""
    if spec is None or not spec.has_location or not (spec.origin or "").endswith(".py"):
        return None
    return Path(spec.origin or "")


def read_module(file: Path, dotted: str) -> Module | None:
    """Read the names of a module; `None` if that cannot be done: the import will say why.

    Args:
        file: The source.
        dotted: The module's name, which relative imports start from.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    package = dotted if file.name == "__init__.py" else dotted.rpartition(".")[0]
    return _Reading(package).run(tree)


def syntax_error_in(file: Path) -> SyntaxError | None:
    """Give what stops Python from reading a file."""
    try:
        ast.parse(file.read_bytes())
    except SyntaxError as error:
        return error
    except (OSError, ValueError, RecursionError):
        return None
    return None


class _Reading:
    """One pass over the statements at the top of a module."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.names: dict[str, Name] = {}
        self.qualified: dict[str, str] = {}
        """Local name -> what was imported under it, dotted."""
        self.imports: set[str] = set()

    def run(self, tree: ast.Module) -> Module:
        for statement in _top_level(tree.body):
            self._statement(statement)
        return Module(
            names=self.names,
            imports=frozenset(self.imports),
            is_transparent=not any(map(_is_opaque, ast.walk(tree))),
        )

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                self.qualified[local] = alias.name if alias.asname else local
                self.imports.add(alias.name)
                self._add(Name(name=local, line=node.lineno, kind="module", is_module=True))
        elif isinstance(node, ast.ImportFrom):
            self._import_from(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._add(self._function(node))
        elif isinstance(node, ast.ClassDef):
            self._add(Name(name=node.name, line=node.lineno, kind="class"))
        else:
            for target, value in _assignments(node):
                self._add(self._value(target, value))

    def _add(self, name: Name) -> None:
        self.names[name.name] = name

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = self._absolute(node)
        self.imports.add(module)
        for alias in node.names:
            self.imports.add(f"{module}.{alias.name}")
            local = alias.asname or alias.name
            self.qualified[local] = f"{module}.{alias.name}"
            if local != "*":
                line = node.lineno
                self._add(Name(name=local, line=line, kind="import", imported_from=module))

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".") if self.package else []
        kept = parts[: len(parts) - (node.level - 1)]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Name:
        arguments = node.args
        positional = len(arguments.posonlyargs) + len(arguments.args)
        required = positional - len(arguments.defaults)
        required += sum(default is None for default in arguments.kw_defaults)
        is_async = isinstance(node, ast.AsyncFunctionDef)
        interface: Interface | None = None
        if is_async and required == _ASGI_PARAMETERS:
            interface = "asgi"
        elif not is_async and required == _WSGI_PARAMETERS:
            interface = "wsgi"
        elif not required:
            interface = self._made_inside(node)
        return Name(
            name=node.name,
            line=node.lineno,
            kind="function",
            interface=interface,
            is_function=True,
            needs_arguments=required > 0,
            is_decorated=bool(node.decorator_list),
        )

    def _made_inside(self, node: ast.AST) -> Interface | None:
        """Guess what a factory makes from the first app class that it calls.

        Imports inside the function count too.
        """
        inner = dict(self.qualified)
        for each in ast.walk(node):
            if isinstance(each, ast.ImportFrom):
                module = self._absolute(each)
                inner.update({one.asname or one.name: f"{module}.{one.name}" for one in each.names})
        for each in ast.walk(node):
            framework = _framework(each, inner)
            if framework:
                return framework[1]
        return None

    def _value(self, target: ast.Name, value: ast.expr | None) -> Name:
        framework = _framework(value, self.qualified)
        kind, interface = framework or ("value", None)
        earlier = self.names.get(value.id) if isinstance(value, ast.Name) else None
        if earlier is not None:
            return msgspec.structs.replace(earlier, name=target.id, line=target.lineno)
        return Name(
            name=target.id,
            line=target.lineno,
            kind=kind,
            interface=interface,
            is_instance=framework is not None,
            made_by="" if framework else self._maker(value),
        )

    def _maker(self, value: ast.expr | None) -> str:
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            maker = self.names.get(value.func.id)
            return maker.imported_from if maker else ""
        return ""


def _framework(node: ast.AST | None, qualified: Mapping[str, str]) -> tuple[str, Interface] | None:
    if not isinstance(node, ast.Call):
        return None
    parts: list[str] = []
    inner: ast.expr = node.func
    while isinstance(inner, ast.Attribute):
        parts.insert(0, inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name) or inner.id not in qualified:
        return None
    return _FRAMEWORKS.get(".".join([qualified[inner.id], *parts]))


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements that run in the module's own scope, those in blocks included.

    `if __name__ == "__main__":` is left out: it does not run on import.
    """
    for node in body:
        yield node
        if isinstance(node, ast.If) and _is_main_guard(node.test):
            yield from _top_level(node.orelse)
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from _top_level(getattr(node, block, ()))
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _top_level(part.body)


def _is_main_guard(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
    )


def _assignments(node: ast.stmt) -> Iterator[tuple[ast.Name, ast.expr | None]]:
    """Give each name that a statement binds, with its value where there is just one."""
    targets: list[ast.expr] = []
    value: ast.expr | None = None
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets, value = [node.target], node.value
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        targets = [node.target]
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        targets = [item.optional_vars for item in node.items if item.optional_vars]
    for target in targets:
        if isinstance(target, ast.Name):
            yield target, value
        else:
            for inner in ast.walk(target):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner, None


def _is_opaque(node: ast.AST) -> bool:
    """Say whether a piece of source can make names that reading does not see."""
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in _OPAQUE_CALLS
    if isinstance(node, ast.Attribute):
        return node.attr == "modules"
    if isinstance(node, ast.FunctionDef):
        return node.name == "__getattr__"
    return isinstance(node, (ast.Global, ast.NamedExpr))


def _installed(name: str) -> ModuleSpec | None:
    """Ask every finder, such as those of editable installations."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
