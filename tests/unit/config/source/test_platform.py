from __future__ import annotations

import os
from pathlib import Path

import pytest
from trivet.config.source.platform import (
    Platform,
    connection_limit,
    container_mark,
    spool_folder,
    usable_cpus,
)


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "9900000 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "junk\n"}, 8),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "3:memory:/x\n4:cpu,cpuacct:/x\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/host/path\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
    ],
)
def test_quotas_of_both_cgroup_versions_limit_the_cpus(
    tmp_path: Path, files: dict[str, str], cpus: int
) -> None:
    assert usable_cpus(machine(tmp_path, files))[0] == cpus


def test_the_reason_names_the_quota(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}
    assert usable_cpus(machine(tmp_path, files))[1] == "cgroup quota of 0.5 CPU, 8 CPUs usable"


@pytest.mark.parametrize(
    ("files", "environ", "mark"),
    [
        ({}, {}, ""),
        ({".dockerenv": ""}, {}, "/.dockerenv"),
        ({"run/.containerenv": ""}, {}, "/run/.containerenv"),
        ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "KUBERNETES_SERVICE_HOST"),
    ],
)
def test_a_container_is_recognised_by_its_marks(
    tmp_path: Path, files: dict[str, str], environ: dict[str, str], mark: str
) -> None:
    assert container_mark(environ, machine(tmp_path, files)) == mark


def test_files_go_to_tmpdir_then_to_the_disk_then_to_tmp(tmp_path: Path) -> None:
    assert spool_folder({}, tmp_path) is None
    (tmp_path / "tmp").mkdir()
    assert spool_folder({}, tmp_path) == tmp_path / "tmp"
    (tmp_path / "var/tmp").mkdir(parents=True)
    assert spool_folder({}, tmp_path) == tmp_path / "var/tmp"
    assert spool_folder({"TMPDIR": str(tmp_path)}, tmp_path) == tmp_path
    assert spool_folder({"TMPDIR": "/nowhere"}, tmp_path) == tmp_path / "var/tmp"


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(1_048_576, 16_384), (1024, 576), (100, 1)]
)
def test_connections_leave_descriptors_for_files(descriptors: int, connections: int) -> None:
    assert connection_limit(descriptors, 16_384) == connections


def test_the_machine_can_be_looked_at(tmp_path: Path) -> None:
    platform = Platform.detect({}, tmp_path)
    assert (platform.cpus, platform.container) == (8, "")
    assert platform.descriptors > 0
