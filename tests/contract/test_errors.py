"""Error codes: one list in each language, no code in both, each on a page."""

import re
from pathlib import Path

from trivet.errors import CODES

# A row of `Problem::facts`: variant, then `Facts::new(status, "type", "code", Side, closes,`.
ROW = re.compile(
    r"Self::(?P<variant>\w+)(?:\(_\))? => Facts::new\((?P<status>\d+), \"(?P<type>\w+)\", "
    r"\"(?P<code>[\w.]+)\", (?P<side>\w+), (?P<closes>true|false),"
)


def problems(root: Path) -> list[dict[str, str]]:
    source = (root / "crates/trivet-core/src/problem.rs").read_text("utf-8")
    enum = source.partition("pub enum Problem {")[2].partition("\n}\n")[0]
    variants = re.findall(r"^    (\w+)(?:\([^)]*\))?,$", enum, re.MULTILINE)
    rows = [found.groupdict() for found in ROW.finditer(source)]
    assert [row["variant"] for row in rows] == variants
    return rows


def test_no_code_means_two_things(root: Path) -> None:
    codes = [row["code"] for row in problems(root)]
    assert len(codes) == len(set(codes))
    assert set(codes) & set(CODES) == set()


def test_each_answer_of_the_edge_is_described(root: Path) -> None:
    page = (root / "docs/internals/problems.md").read_text("utf-8")
    table = [line for line in page.splitlines() if line.startswith("| `")]
    assert table == [
        f"| `{row['code']}` | {row['status']} | `{row['type']}` | {row['side'].lower()} "
        f"| {'yes' if row['closes'] == 'true' else 'no'} |"
        for row in sorted(problems(root), key=lambda row: row["code"])
    ]


def test_each_code_of_python_is_on_its_page(root: Path) -> None:
    page = (root / "docs/reference/errors.md").read_text("utf-8")
    assert [code for code in CODES if f"`{code}`" not in page] == []
