"""Why an app was not loaded, in words: one function per reason."""

import difflib
import inspect
import os
import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from trivet.errors import AppLoadError, Place
from trivet.wire.worker_control import AppTarget
from trivet.worker import traces
from trivet.worker.expression import APP_NAMES, FACTORY_NAMES
from trivet.worker.guard import ServerStartedError
from trivet.worker.installed import install_hint, this_python, venv_with
from trivet.worker.interface import ARGUMENTS, Interface, framework_of, takes

_NAMES_SHOWN = 8
_ROUTINES = (BuiltinFunctionType, FunctionType, MethodType)


def raised(target: AppTarget, error: BaseException) -> AppLoadError:
    """Explain that the app's own code raised."""
    return AppLoadError(
        f"`{target.name}` was not loaded: {traces.summarise(error)}",
        code="app.raised",
        place=traces.place_of(traces.app_frame(error.__traceback__)),
        detail=traces.format_trimmed(error).rstrip(),
    )


def syntax_error(target: AppTarget, error: SyntaxError) -> AppLoadError:
    """Explain a syntax error, with a caret."""
    if not error.filename or not Path(error.filename).is_file():
        return raised(target, error)
    line, column = error.lineno or 0, error.offset or 0
    is_one_line = error.end_lineno == line and (error.end_offset or 0) > column
    width = (error.end_offset or 0) - column if is_one_line else 1
    text = (error.text or "").rstrip("\n")
    shown = traces.shown_path(error.filename)
    frames = traces.outer_frames(error.__traceback__)
    via = [f"imported by {traces.describe_frame(frame)}" for frame in reversed(frames)]
    return AppLoadError(
        f"{type(error).__name__} in {shown}: {error.msg}",
        code="app.syntax_error",
        place=Place(shown, line, column, width, text),
        detail="\n".join(via[:_NAMES_SHOWN]) or None,
    )


def missing_module(target: AppTarget, error: ModuleNotFoundError) -> AppLoadError:
    """Explain that a module is not there: the app's own, or one that it needs."""
    name = error.name or ""
    frames = traces.outer_frames(error.__traceback__)
    if not frames and (target.module == name or target.module.startswith(f"{name}.")):
        return _no_such_app_module(target, name)
    if not name:
        return raised(target, error)
    asker = traces.shown_path(frames[-1].filename) if frames else target.module
    top = name.partition(".")[0]
    detail = [this_python()]
    hint = install_hint(top, Path(target.directory))
    beside = frames and (Path(frames[-1].filename).parent / f"{top}.py")
    if beside and beside.is_file():
        shown = traces.shown_path(str(beside))
        detail.append(f"{shown} lies beside it, in no folder of `sys.path`")
        folder = traces.shown_path(str(beside.parent))
        hint = f"trivet serve --app-dir {folder}, or import it by its package"
    elif venv := venv_with(top, [Path(target.directory), Path.cwd()]):
        shown = traces.shown_path(str(venv))
        detail.append(f"`{top}` is installed in {shown}, but Trivet runs from another Python")
        trivet = venv / "bin" / "trivet"
        run = f"run {shown}/bin/trivet" if trivet.exists() else f"{shown}/bin/pip install trivet"
        hint = f"{run}, so that Trivet and the app share one environment"
    return AppLoadError(
        f"{asker} needs the module `{name}`, which is not installed",
        code="app.missing_module",
        hint=hint,
        place=traces.place_of(traces.app_frame(error.__traceback__)),
        detail="\n".join(detail),
    )


def folder_closed(target: AppTarget) -> AppLoadError:
    """The user that the process runs as may not look into the app's folder."""
    return AppLoadError(
        f"user {os.geteuid()} may not read the folder of `{target.name}`: `{target.directory}`",
        code="app.folder_closed",
        hint="workers run as `server.user`: let that user read it, and every folder above it",
    )


def no_app(target: AppTarget, module: ModuleType) -> AppLoadError:
    """Explain that a module has nothing that looks like an app."""
    looked = ", ".join(f"`{name}`" for name in (*APP_NAMES, *FACTORY_NAMES))
    return AppLoadError(
        f"no app in {_shown_module(module)}",
        code="app.no_app",
        hint=_serve_hint(target, _apps_in(module)),
        detail="\n".join([f"looked for: {looked}", *_inventory(module)]),
    )


def no_attribute(target: AppTarget, module: ModuleType, name: str) -> AppLoadError:
    """Explain that the module has no such name, and what it has."""
    apps = _apps_in(module)
    public = [each for each in vars(module) if not each.startswith("_")]
    close = difflib.get_close_matches(name, public, n=1)
    return AppLoadError(
        f"no app called `{name}` in {_shown_module(module)}",
        code="app.no_attribute",
        hint=_serve_hint(target, apps or close),
        detail="\n".join(_inventory(module)) or None,
    )


def bad_expression(target: AppTarget, error: ValueError) -> AppLoadError:
    """Explain that the name behind the colon cannot be understood."""
    return AppLoadError(
        f"`{target.expression}` is no app's name: {error}",
        code="app.bad_target",
        hint=f'trivet serve {target.module}:app, or "{target.module}:create_app()"',
    )


def bad_call(target: AppTarget, error: TypeError) -> AppLoadError:
    """Explain that the factory takes other arguments."""
    factory = target.expression.partition("(")[0] or "create_app"
    return AppLoadError(
        f"the factory of `{target.name}` cannot be called like this: {error}",
        code="app.bad_call",
        hint=f"give it literals: trivet serve \"{target.module}:{factory}('production')\"",
    )


def made_nothing(target: AppTarget) -> AppLoadError:
    """Explain that the factory returned nothing."""
    return AppLoadError(
        f"the factory of `{target.name}` returned None, not an app",
        code="app.bad_call",
        hint="it has to end with `return app`",
    )


def not_callable(target: AppTarget, found: object) -> AppLoadError:
    """Explain that what was found cannot be called."""
    kind = "module" if inspect.ismodule(found) else type(found).__name__
    return AppLoadError(
        f"`{target.name}` is no app: a {kind} cannot be called",
        code="app.not_an_app",
        hint="name the Flask, Django or other WSGI object",
    )


def wrong_signature(target: AppTarget, found: object, interface: Interface) -> AppLoadError:
    """Explain that a callable is not an app; most often it is a factory."""
    if interface == "wsgi":
        kind, hint = "a WSGI app", "a WSGI app is called with (environ, start_response), PEP 3333"
    else:
        kind, hint = "an ASGI app", "an ASGI app is called with (scope, receive, send), ASGI 3.0"
    name = target.expression or target.module
    if takes(found, 0):
        hint = f'if it makes the app: trivet serve "{target.module}:{name}()"'
    return AppLoadError(
        f"`{target.name}` cannot be called with {ARGUMENTS[interface]} arguments, as {kind} is",
        code="app.not_an_app",
        hint=hint,
    )


def starts_a_server(error: ServerStartedError) -> AppLoadError:
    """Explain an unguarded `app.run()`."""
    frame = error.frame
    statement = _statement(frame)
    where = f"{traces.shown_path(frame.filename)}:{frame.lineno}" if frame else "the app"
    call = "app.run" if error.call.endswith("Flask.run") else error.call
    return AppLoadError(
        f"{where} calls `{call}()` while being imported: that would be a second server",
        code="app.runs_server",
        place=traces.place_of(frame),
        hint=f'put it under a guard:\nif __name__ == "__main__":\n    {statement}',
    )


def _no_such_app_module(target: AppTarget, name: str) -> AppLoadError:
    folder = Path(target.directory, *name.split(".")[:-1])
    here = _modules_in(folder)
    last = name.rpartition(".")[2]
    close = difflib.get_close_matches(last, here, n=1)
    hint = None
    if close:
        hint = f"did you mean `{name.removesuffix(last)}{close[0]}`?"
    elif here:
        hint = f"trivet serve {here[0]}, or --app-dir for another folder"
    there = f"here are: {', '.join(here[:_NAMES_SHOWN])}" if here else "no module is there"
    detail = f"looked in {target.directory}\n{there}"
    return AppLoadError(f"no module `{name}`", code="app.no_module", hint=hint, detail=detail)


def _modules_in(folder: Path) -> list[str]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    files = [each.stem for each in entries if each.suffix == ".py"]
    packages = [each.name for each in entries if (each / "__init__.py").is_file()]
    return [name for name in files + packages if name.isidentifier()]


def _shown_module(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return traces.shown_path(file) if file else f"`{module.__name__}`"


def _apps_in(module: ModuleType) -> list[str]:
    names = [name for name, value in vars(module).items() if _is_app(name, value)]
    return sorted(names, key=lambda name: name not in APP_NAMES)


def _is_app(name: str, value: object) -> bool:
    if name.startswith("_") or _is_a(value, type, ModuleType):
        return False
    if _is_a(value, *_ROUTINES):
        return name in (*APP_NAMES, *FACTORY_NAMES)
    return callable(value) and bool(framework_of(value))


def _inventory(module: ModuleType) -> list[str]:
    """Say what the module itself defines, apps first, so that a wrong name is seen at a glance."""
    apps = _apps_in(module)
    found = []
    for name in [*apps, *(name for name in vars(module) if name not in apps)]:
        value = vars(module)[name]
        if name.startswith("_") or _is_a(value, ModuleType):
            continue
        if _is_a(value, type, *_ROUTINES):
            if getattr(value, "__module__", None) == module.__name__:
                found.append(f"{name} ({'class' if _is_a(value, type) else 'function'})")
        else:
            found.append(f"{name} ({type(value).__name__})")
    shown = found[:_NAMES_SHOWN] + (["…"] if len(found) > _NAMES_SHOWN else [])
    return [f"{_shown_module(module)} has: {', '.join(shown)}"] if shown else []


def _is_a(value: object, *types: type) -> bool:
    """Look at the type alone: `isinstance` asks a proxy, and Flask's and Django's may raise."""
    return issubclass(type(value), types)


def _serve_hint(target: AppTarget, names: Sequence[str]) -> str | None:
    if not names:
        return None
    name = names[0]
    app = f"{target.module}:{name}"
    return f'trivet serve "{app}()"' if name in FACTORY_NAMES else f"trivet serve {app}"


def _statement(frame: traceback.FrameSummary | None) -> str:
    text = frame.line if frame and frame.line else "app.run()"
    # Of a call over several lines only the first is at hand.
    return re.sub(r"\(\s*$", "(…)", text)
