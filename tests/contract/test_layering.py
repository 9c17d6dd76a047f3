"""Who may know whom: the crates by cargo's own word, the package by its imports."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

CRATES = {"trivet-core", "trivet-edge", "trivet-py", "trivet-wire"}

# The other half of native code: the codec, the loop, and the one call that starts the edge.
MAY_IMPORT_NATIVE = ("trivet.wire", "trivet.worker", "trivet.cli.edge")

# What a decision must be handed instead of asking for it itself.
IMPURE = (
    r"\b(Instant::now|SystemTime|std::(env|fs|process|thread)\b"
    r"|Tcp(Listener|Stream)|UdpSocket|Unix(Listener|Stream)"
    r"|tokio|async fn|e?println!)"
)

# The tests stand last in a file, or in a file of their own.
TESTS = re.compile(r"^#\[cfg\(test\)\]\s+(#\[.*\]\s+)*mod \w+", re.MULTILINE)


@pytest.fixture(scope="module")
def told(root: Path) -> dict[str, Any]:
    """What cargo knows about the workspace, for this machine."""
    host = re.search(
        r"^host: (.+)$",
        subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout,
        re.MULTILINE,
    )
    assert host
    answer = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={host[1]}"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return cast("dict[str, Any]", json.loads(answer))


@pytest.fixture(scope="module")
def dependencies(told: dict[str, Any]) -> dict[str, set[str]]:
    """Everything that each of our crates is built from, however deep, but for its tests."""
    names = {package["id"]: package["name"] for package in told["packages"]}
    direct = {
        node["id"]: {
            dependency["pkg"]
            for dependency in node["deps"]
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
        }
        for node in told["resolve"]["nodes"]
    }
    return {
        names[member]: {names[package] for package in reached_from(member, direct)}
        for member in told["workspace_members"]
    }


def reached_from(start: str, direct: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    pending = [*direct[start]]
    while pending:
        package = pending.pop()
        if package not in reached:
            reached.add(package)
            pending.extend(direct[package])
    return reached


def test_the_crates_are_the_four(dependencies: dict[str, set[str]]) -> None:
    assert dependencies.keys() == CRATES


@pytest.mark.parametrize("crate", ["trivet-core", "trivet-wire"])
def test_a_pure_crate_knows_no_runtime_no_python_and_no_other_of_ours(
    dependencies: dict[str, set[str]], crate: str
) -> None:
    assert dependencies[crate] & ({"hyper", "mio", "pyo3", "socket2", "tokio"} | CRATES) == set()


def test_the_edge_stands_on_core_and_wire(dependencies: dict[str, set[str]]) -> None:
    assert dependencies["trivet-edge"] & CRATES == {"trivet-core", "trivet-wire"}


def test_only_one_crate_knows_python(dependencies: dict[str, set[str]]) -> None:
    assert [crate for crate, known in dependencies.items() if "pyo3" in known] == ["trivet-py"]


def test_every_crate_builds_with_the_oldest_rust(told: dict[str, Any]) -> None:
    # `make test` must pass with Debian's own cargo, so the crates that only tests need count too.
    oldest = {
        package["name"]: tuple(map(int, (package["rust_version"] or "1").split(".")))[:2]
        for package in told["packages"]
    }
    promised = oldest["trivet-core"]
    assert {name: needed for name, needed in oldest.items() if needed > promised} == {}


@pytest.mark.parametrize("crate", ["trivet-core", "trivet-wire"])
def test_a_pure_crate_asks_for_no_clock_file_or_socket(root: Path, crate: str) -> None:
    asked = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in sorted((root / "crates" / crate / "src").rglob("*.rs"))
        for number, line in shipped_lines(path)
        if re.search(IMPURE, line)
    ]
    assert asked == []


def shipped_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are neither comment nor test."""
    if path.stem == "tests":
        return
    shipped = TESTS.split(path.read_text(encoding="utf-8"), maxsplit=1)[0]
    for number, line in enumerate(shipped.splitlines(), start=1):
        if not line.lstrip().startswith("//"):
            yield number, line


def test_the_import_contracts_hold(root: Path) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def imports(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, what it imports) for the whole package, `from a import b` as `a.b`."""
    source = root / "python"
    for path in sorted((source / "trivet").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        package = parts[:-1]
        module = ".".join(package if parts[-1] == "__init__" else parts)
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                yield from ((module, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else ()
                origin = ".".join([*above, *([node.module] if node.module else [])])
                yield from ((module, f"{origin}.{name.name}") for name in node.names)


def is_within(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def test_only_three_places_import_the_native_module(root: Path) -> None:
    elsewhere = [
        (module, imported)
        for module, imported in imports(root)
        if is_within(imported, "trivet._trivet")
        and not any(is_within(module, part) for part in MAY_IMPORT_NATIVE)
    ]
    assert elsewhere == []


def test_the_supervisor_never_sees_a_request(root: Path) -> None:
    seen = [
        (module, imported)
        for module, imported in imports(root)
        if is_within(module, "trivet.supervisor") and is_within(imported, "trivet.wire.frames")
    ]
    assert seen == []
