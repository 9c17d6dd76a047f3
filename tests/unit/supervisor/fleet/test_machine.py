import os
import subprocess
import sys
from pathlib import Path

from trivet.supervisor.fleet.machine import (
    CpuShare,
    cpu_seconds,
    free_memory,
    proportional_bytes,
    resident_bytes,
)


def test_a_process_is_measured_and_one_that_is_gone_is_nothing() -> None:
    own = os.getpid()
    assert cpu_seconds(own) > 0
    assert 0 < proportional_bytes(own) <= resident_bytes(own)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert (cpu_seconds(gone.pid), resident_bytes(gone.pid)) == (0.0, 0)
    assert proportional_bytes(gone.pid) == 0


def test_the_cpu_share_is_that_of_the_usable_cpus(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    file = tmp_path / "stat"
    file.write_text(f"cpu  9 9 9 9 9 9 9 9\ncpu{cpu} 100 0 50 800 50 0 0 0 0 0\ncpu9999 7 7 7 7\n")
    share = CpuShare(tmp_path)
    file.write_text(f"cpu{cpu} 160 0 60 820 60 0 0 0 0 0\n")
    assert share.look() == 0.7
    assert share.look() == 0.0


def test_without_the_kernels_word_the_share_is_nothing(tmp_path: Path) -> None:
    assert CpuShare(tmp_path).look() == 0.0


def test_free_memory_is_the_least_of_machine_and_cgroups(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    assert free_memory(tmp_path) == 4000 * 1024
    (tmp_path / "proc/self/cgroup").write_text("0::/shop\n")
    folder = tmp_path / "sys/fs/cgroup/shop"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text("max\n")
    (folder / "memory.current").write_text("1000000\n")
    (folder / "memory.stat").write_text("anon 1\ninactive_file 500000\n")
    assert free_memory(tmp_path) == 4000 * 1024
    (folder / "memory.max").write_text("2000000\n")
    assert free_memory(tmp_path) == 1_500_000


def test_a_cgroup_of_version_1_counts_too(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/docker/abc\n")
    folder = tmp_path / "sys/fs/cgroup/memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("300\n")
    (folder / "memory.usage_in_bytes").write_text("400\n")
    (folder / "memory.stat").write_text("total_inactive_file 50\n")
    assert free_memory(tmp_path) == 0
