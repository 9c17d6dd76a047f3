"""The environment: `TRIVET_…`, and the variables that platforms and other servers use."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from trivet.config.loaded import Origin, Raw
from trivet.config.option import Definition
from trivet.config.suggestion import nearest
from trivet.errors import Notice

CONFIG: Final = "TRIVET_CONFIG"
_LINK: Final = re.compile(r"(?:tcp|udp|sctp)://", re.ASCII)
_LINK_NAME: Final = re.compile(
    r"TRIVET_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)", re.ASCII
)


def has_variable(definition: Definition) -> bool:
    """Say whether an option can be set by a variable: tables and their rows cannot."""
    tables = {"env", "route", "site", "static", "task"}
    return definition.section not in tables and definition.path not in tables


def own_values(
    known: Iterable[Definition], environ: Mapping[str, str], base: Path
) -> dict[str, Raw]:
    """Collect the options that `TRIVET_…` sets; an empty value is as good as none."""
    return _values(
        {each.variable: each.path for each in known if has_variable(each)}, environ, base
    )


def platform_values(
    known: Iterable[Definition], environ: Mapping[str, str], base: Path
) -> dict[str, Raw]:
    """Collect the options that `PORT`, `WEB_CONCURRENCY` and their like set."""
    names = {each.option.env: each.path for each in known if each.option.env}
    return _values(names, environ, base)


def notices(known: Iterable[Definition], environ: Mapping[str, str]) -> list[Notice]:
    """Tell of variables that look like options and are none."""
    names = {each.variable for each in known if has_variable(each)} | {CONFIG}
    found = []
    links = [name for name in ("PORT", "TRIVET_PORT") if _LINK.match(environ.get(name, ""))]
    for name in links:
        service = "" if name == "PORT" else ' for the Service "trivet"'
        found.append(
            Notice(
                "note",
                f"ignored {name}={environ[name]}: Kubernetes set it{service}",
                "config.kubernetes_link",
                "enableServiceLinks: false in the pod spec",
            )
        )
    for name in sorted(environ):
        if name.startswith("TRIVET_") and name not in names and not _LINK_NAME.fullmatch(name):
            meant = nearest(name, names)
            hint = f"did you mean `{meant}`?" if meant else None
            code = "config.unknown_variable"
            found.append(Notice("warning", f"no option has the variable `{name}`", code, hint))
    return found


def _values(names: Mapping[str, str], environ: Mapping[str, str], base: Path) -> dict[str, Raw]:
    values = {}
    for name, path in names.items():
        text = environ.get(name, "")
        is_link = name.endswith("PORT") and _LINK.match(text)
        if text and not is_link:
            values[path] = Raw(path, name, text, Origin(name), base)
    return values
