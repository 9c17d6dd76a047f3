"""What is wrong with `[[site]]`, `[[route]]` and `[[static]]`: told with the line it stands on."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from trivet.config.route import NAME
from trivet.config.routing import MOVED, prefix
from trivet.config.value.path import is_folder
from trivet.wire import routes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trivet.config.loaded import Raw
    from trivet.config.route import Route
    from trivet.config.settings import Settings
    from trivet.config.site import Site
    from trivet.config.static import Static

    Rows = list[Mapping[str, Raw]]
    Tell = Callable[[Raw, str, str | None], None]

_REDIRECTIONS: Final = (301, 302, 303, 307, MOVED)
_VALUE: Final = r"[!-~\x80-\U0010ffff](?:[\t -~\x80-\U0010ffff]*[!-~\x80-\U0010ffff])?"
"""A field value (RFC 9110 section 5.5): no controls, and no white space at its ends."""
_ANSWERS: Final = ("app", "redirect", "rewrite", "respond")


def check(settings: Settings, rows: Mapping[str, Rows], tell: Tell) -> None:
    """Check the tables.

    Args:
        settings: Their values.
        rows: `site`, `route` and `static`: what was written in each table, by option path.
        tell: Told of each problem: where, what (completes "`option` …"), and a hint.
    """
    for site, raws in zip(settings.site, rows["site"], strict=True):
        _check_site(site, raws, tell)
    for route, raws in zip(settings.route, rows["route"], strict=True):
        _RouteCheck(route, raws, tell).run()
    seen: dict[tuple[str, str], Raw] = {}
    for static, raws in zip(settings.static, rows["static"], strict=True):
        _check_static(static, raws, tell, seen)


def _check_site(site: Site, raws: Mapping[str, Raw], tell: Tell) -> None:
    _check_hosts(site.host, raws.get("site.host"), tell)
    inexact = [host for host in site.host if "*" in host]
    if site.www and inexact:
        hint = "name the hosts: `example.com`"
        tell(raws["site.www"], f"cannot be told for `{inexact[0]}`", hint)


def _check_hosts(hosts: tuple[str, ...], raw: Raw | None, tell: Tell) -> None:
    for host in hosts if raw else ():
        _ask(partial(routes.check_pattern, "host", host), raw, tell)


def _ask(
    question: Callable[[], list[str] | None], raw: Raw | None, tell: Tell, before: str = ""
) -> list[str]:
    try:
        return question() or []
    except ValueError as problem:
        if raw:
            tell(raw, f"{before}{problem}", None)
        return []


class _RouteCheck:
    """The check of one `[[route]]`."""

    def __init__(self, route: Route, raws: Mapping[str, Raw], tell: Tell) -> None:
        self.route = route
        self.raws = raws
        self.tell = tell

    def run(self) -> None:
        path, regex = self._raw("path"), self._raw("regex")
        if path and regex:
            self.tell(regex, "contradicts `path`", "write one of them")
        names = self._names()
        _check_hosts(self.route.host, self._raw("host"), self.tell)
        self._check_methods()
        for option, values in (("field", self.route.field), ("query", self.route.query)):
            raw = self._raw(option)
            for value in values.values():
                _ask(partial(routes.check_pattern, "value", value), raw, self.tell)
        self._check_fields()
        self._check_changes("request", names)
        self._check_changes("response", names)
        self._check_answer(names)
        self._check_limits()

    def _raw(self, option: str) -> Raw | None:
        return self.raws.get(f"route.{option}")

    def _names(self) -> list[str]:
        route = self.route
        if route.regex is not None:
            question = partial(routes.check_pattern, "regex", route.regex)
            return _ask(question, self._raw("regex"), self.tell)
        if route.path is not None:
            question = partial(routes.check_pattern, "path", route.path)
            return _ask(question, self._raw("path"), self.tell)
        return []

    def _check_methods(self) -> None:
        raw = self._raw("method")
        for method in self.route.method:
            if raw and not re.fullmatch(NAME, method):
                self.tell(raw, f"has `{method}`, which is no method", None)
            elif raw and method != method.upper():
                hint = f"did you mean `{method.upper()}`? Methods are written as they are sent"
                self.tell(raw, f"has `{method}`", hint)

    def _check_fields(self) -> None:
        raw = self._raw("field")
        for name in self.route.field:
            if raw and not re.fullmatch(NAME, name):
                self.tell(raw, f"has `{name}`, which is no name of a field", None)

    def _check_changes(self, message: Literal["request", "response"], names: list[str]) -> None:
        first: dict[str, str] = {}
        for how in ("set", "add", "remove"):
            option = f"{how}_{message}_fields"
            raw, given = self._raw(option), getattr(self.route, option)
            if not raw:
                continue
            for name in given:
                _ask(partial(routes.check_field_name, message, name), raw, self.tell)
                other = first.setdefault(name.lower().replace("_", "-"), option)
                if other != option:
                    self.tell(raw, f"has `{name}`, as `{other}` has", "a field changes in one way")
            for value in given.values() if isinstance(given, dict) else ():
                _ask(partial(routes.check_template, "field", value, names), raw, self.tell)

    def _check_answer(self, names: list[str]) -> None:
        route = self.route
        given = [raw for option in _ANSWERS if (raw := self._raw(option))]
        given = [raw for raw in given if raw.path != "route.app" or route.app]
        for raw in given[1:]:
            self.tell(raw, f"contradicts `{given[0].name}`", "a route has one answer")
        status = self._raw("status")
        if status and route.redirect is not None and route.status not in _REDIRECTIONS:
            known = ", ".join(map(str, _REDIRECTIONS))
            self.tell(status, f"must be one of {known} for a redirect, not {route.status}", None)
        if status and (route.app or route.rewrite is not None):
            self.tell(status, "says nothing here", "it goes with `redirect` or `respond`")
        content_type = self._raw("content_type")
        if content_type and route.respond is None:
            self.tell(content_type, "says nothing here", "it goes with `respond`")
        if route.redirect is not None:
            question = partial(routes.check_template, "location", route.redirect, names)
            _ask(question, self._raw("redirect"), self.tell)
        if route.rewrite is not None:
            self._check_rewrite(route.rewrite, names)

    def _check_limits(self) -> None:
        for option in ("rate_limit", "max_concurrency"):
            by = self._raw(f"{option}_by")
            if by and not self._raw(option):
                self.tell(by, "says nothing here", f"it goes with `{option}`")

    def _check_rewrite(self, to: str, names: list[str]) -> None:
        raw = self._raw("rewrite")
        _ask(partial(routes.check_template, "path", to, names), raw, self.tell)
        if raw and not to.startswith(("/", "{path}")):
            self.tell(raw, f"must begin with `/`, not be `{to}`", None)


def _check_static(
    static: Static, raws: Mapping[str, Raw], tell: Tell, seen: dict[tuple[str, str], Raw]
) -> None:
    folder, path = raws.get("static.folder"), raws.get("static.path")
    if folder and not is_folder(static.folder):
        tell(folder, f"names no folder: `{folder.value}`", None)
    _check_hosts(static.host, raws.get("static.host"), tell)
    for host in static.host or ("*",):
        first = seen.setdefault((host, prefix(static)), path) if path else None
        if path and first is not path:
            what = f"is `{prefix(static)}`, as that of an earlier folder"
            tell(path, what, "give one of them another path or host")
    _check_values(static, raws, tell)
    for option in ("index", "fallback", "not_found"):
        raw = raws.get(f"static.{option}")
        value = getattr(static, option)
        for name in (value,) if isinstance(value, str) else value or ():
            if raw and not _is_inside(name):
                tell(raw, f"has `{name}`, which is no name below the folder", None)


def _check_values(static: Static, raws: Mapping[str, Raw], tell: Tell) -> None:
    cache_control, types = raws.get("static.cache_control"), raws.get("static.types")
    for pattern, value in static.cache_control.items():
        _ask(
            partial(routes.check_pattern, "glob", pattern), cache_control, tell, "cannot be used: "
        )
        if cache_control and not re.fullmatch(_VALUE, value):
            tell(
                cache_control,
                f"has `{value!r}` for `{pattern}`, which is no value of a field",
                None,
            )
    _ask(partial(routes.check_media_types, static.types), types, tell, "cannot be used: ")


def _is_inside(name: str) -> bool:
    return all(part not in {"", ".", ".."} for part in name.removeprefix("/").split("/"))
