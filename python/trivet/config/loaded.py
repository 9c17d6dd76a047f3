"""What loading gives: the settings, where each came from, and what the operator should know."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from trivet.config.settings import Settings
from trivet.config.task import Task
from trivet.errors import Notice, Place


class Origin(msgspec.Struct, frozen=True):
    """Where a value came from.

    Attributes:
        text: `flag --bind`, `TRIVET_BIND`, `PORT`, `trivet.toml:4`,
            `[tool.trivet] in pyproject.toml:12` or `default`.
        reason: Why it is so, where the machine or the platform decided; else empty.
        place: Line of the file, for messages.
    """

    text: str
    reason: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.text} ({self.reason})" if self.reason else self.text


DEFAULT = Origin("default")


class Raw(msgspec.Struct, frozen=True):
    """A value as it was written.

    Attributes:
        path: Of the option.
        name: How the writer called it: `--bind`, `TRIVET_BIND`, `server.bind`.
        value: Text, a list of texts, or what TOML gave.
        base: Folder that relative paths in it start from.
    """

    path: str
    name: str
    value: object
    origin: Origin
    base: Path


class ConfiguredApp(msgspec.Struct, frozen=True, kw_only=True):
    """One app of the stand: what its `[app.NAME]` table says, on top of what holds for all.

    Attributes:
        name: The table's; empty for the only app of a stand without such tables.
        settings: All options as they are for this app; those that an app cannot set are the
            stand's.
        origins: By option path.
        folder: Absolute folder that `settings.app` is meant relative to, and where an app is
            looked for.
    """

    name: str
    settings: Settings
    origins: Mapping[str, Origin]
    folder: Path


class ConfiguredTask(msgspec.Struct, frozen=True, kw_only=True):
    """One background task.

    Attributes:
        name: The `[task.NAME]` table's.
        task: What it says; `env` has all variables: the stand's, the app's, its own.
        app: Number of the app that it belongs to; `None` for none of several.
    """

    name: str
    task: Task
    app: int | None


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of one start or reload.

    Attributes:
        settings: All options, paths absolute, every `auto` decided.
        origins: By option path, one for each option; the rows of `route` share one.
        notices: Notes and warnings to print before anything starts.
        file: The file that was read, if any.
        apps: What is to be served, in the order of the file; none where routes and folders answer
            alone.
        tasks: What runs beside them, in the order of the file.
        rows: Of `site`, `route` and `static`, where each of their tables came from.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    notices: tuple[Notice, ...]
    file: Path | None
    apps: tuple[ConfiguredApp, ...]
    tasks: tuple[ConfiguredTask, ...]
    rows: Mapping[str, tuple[Origin, ...]]
