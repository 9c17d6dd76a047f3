"""A table of texts, for the terminal and for Markdown. Pure."""

from __future__ import annotations

from dataclasses import dataclass

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Column heads and rows of the same length; the first column is text, the others figures."""

    heads: list[str]
    rows: list[list[str]]

    def text(self) -> str:
        """Draw for a terminal: the first column to the left, figures to the right."""
        lines = [self.heads, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.heads))]
        drawn = [
            "  ".join(
                cell.rjust(width)
                if column and is_figure(cell, line is self.heads)
                else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        rule = "  ".join("-" * width for width in widths)
        return "\n".join([drawn[0], rule, *drawn[1:]])

    def markdown(self) -> str:
        """Draw as a Markdown table."""
        lines = [
            self.heads,
            ["---"] * len(self.heads),
            *([cell.replace("|", "\\|") for cell in row] for row in self.rows),
        ]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def is_figure(cell: str, is_head: bool) -> bool:  # noqa: FBT001 - private to the drawing above
    """Tell whether a cell reads as a number: it starts with a digit, or heads a column."""
    return is_head or cell[:1].isdigit()


def padded(cells: list[str], heads: list[str]) -> list[str]:
    """Fill a row up with nothing, for a server that has no figures."""
    return cells + [NOTHING] * (len(heads) - len(cells))
