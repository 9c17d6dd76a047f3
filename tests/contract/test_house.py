"""The house rules that a program can check: names, sizes, versions, forbidden words."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

# A file above its alarm says in its head comment, on a line with "Length:", why it is one idea.
ALARM_LINES = {".py": 500, ".rs": 700}
ALARM_FILES = 20
HEAD_LINES = 60

VAGUE_NAMES = {"base", "common", "helpers", "manager", "misc", "utils"}

# An app that is meant to be slow sleeps: it lies in a folder `apps`, or its line says so.
SLEEP_ALLOWED = "slow on purpose"

# Joined here, so that this file does not hold what it looks for.
MACHINE_PATHS = ["/" + "root/", "/opt/" + "wheels", "/work/" + "main", "/work/" + "shared"]
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "files.python" + "hosted.org",
    "static.crates" + ".io",
    "index.crates" + ".io",
    "registry.npm" + "js.org",
    "proxy.golang" + ".org",
    "deb.debian" + ".org",
]

Files = Callable[..., list[Path]]


@pytest.fixture(scope="module")
def files(root: Path) -> Files:
    """List what is committed or about to be, by folder and ending, relative to the clone."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    present = [Path(name) for name in listed if name and (root / name).is_file()]

    def select(*endings: str, under: str = ".") -> list[Path]:
        return [
            path
            for path in present
            if path.is_relative_to(under) and (not endings or path.suffix in endings)
        ]

    return select


def lines_with(root: Path, paths: list[Path], pattern: str) -> Iterator[str]:
    """Yield `path:line: text` for each line that the pattern is found in."""
    wanted = re.compile(pattern)
    for path in paths:
        text = (root / path).read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if wanted.search(line):
                yield f"{path}:{number}: {line.strip()}"


def source_lines(root: Path, files: Files) -> Iterator[tuple[Path, list[str]]]:
    """Yield every source file outside tests and benches, with its lines."""
    for path in [*files(*ALARM_LINES, under="python"), *files(*ALARM_LINES, under="crates")]:
        if not {"tests", "benches"} & set(path.parts):
            yield path, (root / path).read_text(encoding="utf-8").splitlines()


def workspace_version(root: Path) -> str:
    manifest = (root / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^\[workspace\.package\]\nversion = "([^"]+)"$', manifest, re.MULTILINE)
    assert found
    return found[1]


def test_no_test_waits_by_sleeping(root: Path, files: Files) -> None:
    tests = [
        path
        for path in [*files(".py", under="tests"), *files(".rs", under="crates")]
        if "tests" in path.parts and "apps" not in path.parts
    ]
    sleeps = [line for line in lines_with(root, tests, r"\bsleep\(") if SLEEP_ALLOWED not in line]
    assert [line for line in sleeps if not line.startswith("tests/contract/test_house.py")] == []


def test_no_file_is_called_mod_rs(files: Files) -> None:
    assert [path for path in files(".rs") if path.name == "mod.rs"] == []


def test_no_module_has_a_vague_name(files: Files) -> None:
    modules = files(".py", ".rs", ".js")
    vague = [path for path in modules if VAGUE_NAMES & {path.stem, *path.parent.parts}]
    assert vague == []


def test_a_file_above_the_alarm_says_why(root: Path, files: Files) -> None:
    unexplained = [
        f"{path}: {len(lines)} lines"
        for path, lines in source_lines(root, files)
        if len(lines) > ALARM_LINES[path.suffix]
        and not any("Length:" in line for line in lines[:HEAD_LINES])
    ]
    assert unexplained == []


def test_a_crowded_folder_says_why(root: Path, files: Files) -> None:
    counts = Counter(path.parent for path, _ in source_lines(root, files))
    unexplained = [
        f"{folder}: {count} files"
        for folder, count in counts.items()
        if count > ALARM_FILES and not explains_length(root, folder)
    ]
    assert unexplained == []


def explains_length(root: Path, folder: Path) -> bool:
    """Look for a "Length:" line in the file that speaks for a folder."""
    heads = [folder / "__init__.py", folder / "lib.rs", folder.with_suffix(".rs")]
    return any(lines_with(root, [head for head in heads if (root / head).is_file()], "Length:"))


def test_each_todo_names_its_issue(root: Path, files: Files) -> None:
    sources = [path for path in files(".py", ".rs") if path.name != "test_house.py"]
    assert list(lines_with(root, sources, r"\b(TODO\b(?!\(#\d+\))|FIXME|XXX)")) == []


@pytest.mark.parametrize("words", [MACHINE_PATHS, REGISTRY_HOSTS], ids=["paths", "registries"])
def test_nothing_names_a_machine_or_a_registry(root: Path, files: Files, words: list[str]) -> None:
    pattern = "|".join(map(re.escape, words))
    assert list(lines_with(root, files(), pattern)) == []


def test_each_crate_takes_the_version_of_the_workspace(root: Path, files: Files) -> None:
    manifests = [path for path in files(".toml", under="crates") if path.name == "Cargo.toml"]
    assert manifests
    own = [
        str(path)
        for path in manifests
        if "version.workspace = true" not in (root / path).read_text(encoding="utf-8")
    ]
    assert own == []


def test_the_installed_package_has_the_version_of_the_workspace(root: Path) -> None:
    assert metadata.version("trivet") == workspace_version(root)


def test_the_command_tells_the_version_of_the_workspace(root: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "trivet", "--version"], check=True, capture_output=True, text=True
    ).stdout
    assert workspace_version(root) in told.split()


def test_the_changelog_starts_with_the_version_of_the_workspace(root: Path) -> None:
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## \[(?!Unreleased\])([^\]]+)\]", changelog, re.MULTILINE)
    assert released
    assert released[1] == workspace_version(root)


def test_the_readme_shows_both_commands(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme
    assert "make test" in readme


def test_the_architecture_is_read_in_ten_minutes(root: Path) -> None:
    assert len((root / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_each_link_between_pages_leads_somewhere(root: Path, files: Files) -> None:
    links = [
        (page, target)
        for page in files(".md")
        for target in re.findall(
            r"\]\(([^)#\s]+)[^)]*\)", (root / page).read_text(encoding="utf-8")
        )
        if "://" not in target
    ]
    assert [
        f"{page}: {target}" for page, target in links if not (root / page.parent / target).exists()
    ] == []


def test_the_classic_example_stays_classic(root: Path) -> None:
    app = (root / "examples/hello/app.py").read_text(encoding="utf-8")
    assert "return 'Hello, Word'\n" in app
    assert app.endswith("if __name__ == '__main__':\n    app.run(host='0.0.0.0', port='8000')\n")
