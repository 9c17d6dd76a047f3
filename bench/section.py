"""A section of the report: what one verb found, ready to print, to keep, and to publish."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.table import Table

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table with its title and the sentences that explain it.

    `facts` says when and on what it was measured; `raw` is kept as it is, for later questions.
    """

    name: str
    title: str
    command: str
    notes: list[str]
    table: Table
    facts: dict[str, str] = field(default_factory=dict)
    raw: Any = None

    def text(self) -> str:
        """Draw for a terminal."""
        notes = "".join(f"\n  {note}" for note in self.notes)
        return f"\n{self.title}\n\n{self.table.text()}\n{notes}\n"

    def markdown(self) -> str:
        """Draw as a section of a Markdown page."""
        when = f"Measured on {self.facts.get('date', '?')} by `{self.command}`."
        notes = "\n".join([when, *self.notes])
        return f"## {self.title}\n\n{self.table.markdown()}\n\n{notes}\n"

    def save(self, folder: Path) -> None:
        """Write all of it to `NAME.json` in `folder`, in place of an earlier one."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")


def load(path: Path) -> Section:
    """Read a section that `Section.save` wrote."""
    saved = json.loads(path.read_text())
    saved["table"] = Table(**saved["table"])
    return Section(**saved)
