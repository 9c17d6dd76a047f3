"""Reading the configuration again, for a reload of a stand that runs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trivet.config import ConfiguredApp, Loaded
from trivet.config.discovery import Discovered, discover
from trivet.config.renewal import renewed
from trivet.errors import AppLoadError, ConfigError, Notice
from trivet.supervisor.plan import Plan, renewed_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What new workers are started from, and what the operator should know.

    `pending` names what was changed and needs a new start; `notices` are those of this load that
    the one before it had not.
    """

    plan: Plan
    loaded: Loaded
    found: Sequence[Discovered]
    changed: Sequence[str]
    pending: Sequence[str]
    notices: Sequence[Notice]


class Renewer:
    """Knows how the configuration was loaded, and what of it is in force."""

    def __init__(
        self, loaded: Loaded, found: Sequence[Discovered], again: Callable[[], Loaded]
    ) -> None:
        """Begin with what the stand was started from; `again` loads it as that was loaded."""
        self._loaded = loaded
        self._found: Sequence[Discovered] = found
        self._again = again

    def read(self, plan: Plan) -> Renewed:
        """Load the configuration, find the apps, and make another plan of this one.

        Nothing is in force yet: see `take`.

        Raises:
            ConfigError: The configuration has errors; nothing has changed.
            AppLoadError: An app that is named anew is not there; nothing has changed.
        """
        try:
            after = self._again()
        except OSError as error:
            where = f" (`{error.filename}`)" if error.filename else ""
            text = f"the configuration cannot be read: {error.strerror or error}{where}"
            raise ConfigError(text, code="config.file_missing") from error
        renewal = renewed(self._loaded, after)
        apps = [self._find(number, app) for number, app in enumerate(renewal.loaded.apps)]
        made = renewed_plan(plan, renewal.loaded, apps)
        notices = [each for each in after.notices if each not in self._loaded.notices]
        return Renewed(
            plan=made,
            loaded=renewal.loaded,
            found=apps,
            changed=renewal.changed,
            pending=renewal.pending,
            notices=notices,
        )

    def take(self, renewed: Renewed) -> None:
        """Take note that what was read is in force: the next load is compared with it."""
        self._loaded, self._found = renewed.loaded, renewed.found

    def _find(self, number: int, app: ConfiguredApp) -> Discovered:
        """Find an app; where it cannot be, but was, its new worker says why, and only that."""
        try:
            return discover(app, os.environ)
        except AppLoadError:
            before = self._loaded.apps[number]
            if (app.settings.app, app.folder) != (before.settings.app, before.folder):
                raise
            return self._found[number]
