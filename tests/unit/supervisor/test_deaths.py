from pathlib import Path

import pytest
from trivet.supervisor.deaths import Death, OutOfMemoryCounter, death_from_status


@pytest.mark.parametrize(
    ("status", "reason", "text"),
    [
        (0, "exit 0", "(pid 7) exited with code 0"),
        (3 << 8, "exit 3", "(pid 7) exited with code 3"),
        (11, "SIGSEGV", "(pid 7) was killed by SIGSEGV"),
        (11 | 128, "SIGSEGV", "(pid 7) was killed by SIGSEGV"),
        (40, "signal 40", "(pid 7) was killed by signal 40"),
    ],
)
def test_a_status_is_put_into_words(status: int, reason: str, text: str) -> None:
    death = death_from_status(7, status, peak_bytes=0, out_of_memory=False)
    assert (death.reason, death.describe()) == (reason, text)


def test_a_kill_names_the_memory_and_guesses_who_did_it() -> None:
    by_hand = death_from_status(7, 9, peak_bytes=511 << 20, out_of_memory=False)
    by_kernel = death_from_status(7, 9, peak_bytes=511 << 20, out_of_memory=True)
    start = "(pid 7) was killed by SIGKILL after using up to 511 MiB"
    assert by_hand.describe() == f"{start} (probably by hand, or by a memory limit)"
    assert by_kernel.describe() == f"{start} (probably out of memory)"


def test_a_process_that_never_was_has_the_systems_words() -> None:
    death = Death(0, "[Errno 11] Resource temporarily unavailable", 0)
    assert death.describe() == ("could not be started: [Errno 11] Resource temporarily unavailable")


def test_the_kernels_counter_is_watched(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("pgfault 5\noom_kill 2\n")
    counter = OutOfMemoryCounter(vmstat)
    assert not counter.has_risen()
    vmstat.write_text("pgfault 5\noom_kill 3\n")
    assert counter.has_risen()
    assert not counter.has_risen()


def test_a_kernel_without_a_counter_tells_nothing(tmp_path: Path) -> None:
    assert not OutOfMemoryCounter(tmp_path / "vmstat").has_risen()
