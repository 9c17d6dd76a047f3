from dataclasses import replace

from trivet.supervisor.fleet.scaling import DOWN_AFTER, UP_AFTER, Pressure, Scaler

CALM = Pressure(
    seconds=1.0,
    wait_s=0.001,
    busy_cpus=0.1,
    cpu_share=0.1,
    in_flight=1,
    capacity=40,
    free_memory=1 << 30,
    worker_memory=50 << 20,
)
WAITING = replace(CALM, wait_s=0.084, in_flight=80, cpu_share=0.35)


def scaler(least: int = 2, most: int = 4) -> Scaler:
    return Scaler(least=least, most=most)


def advice_after(scale: Scaler, pressure: Pressure, seconds: int, workers: int = 2) -> list[str]:
    given = [scale.advise(workers, pressure) for _ in range(seconds)]
    return [f"{each.change:+} {each.because}" for each in given if each]


def test_requests_that_wait_while_cpus_are_idle_get_another_worker() -> None:
    scale = scaler()
    assert advice_after(scale, WAITING, UP_AFTER - 1) == []
    assert advice_after(scale, WAITING, 1) == [
        "+1 requests waited 84 ms, and each worker used 5% of a CPU"
    ]


def test_after_a_change_the_count_begins_anew() -> None:
    scale = scaler()
    assert len(advice_after(scale, WAITING, 2 * UP_AFTER)) == 2


def test_one_calm_second_speaks_against_it() -> None:
    scale = scaler()
    for _ in range(5):
        assert advice_after(scale, WAITING, UP_AFTER - 1) == []
        assert advice_after(scale, CALM, 1) == []


def test_busy_cpus_get_no_further_worker() -> None:
    busy = replace(WAITING, cpu_share=0.97, busy_cpus=1.8)
    assert advice_after(scaler(), busy, 20) == []


def test_busy_cpus_do_not_matter_to_workers_that_only_wait() -> None:
    others = replace(WAITING, cpu_share=0.97)
    assert len(advice_after(scaler(), others, UP_AFTER)) == 1


def test_there_are_never_more_than_most_nor_fewer_than_least() -> None:
    assert advice_after(scaler(most=2), WAITING, 20) == []
    assert advice_after(scaler(), CALM, 3 * DOWN_AFTER, workers=2) == []


def test_a_minute_of_little_to_do_takes_one_away() -> None:
    scale = scaler()
    assert advice_after(scale, CALM, DOWN_AFTER - 1, workers=4) == []
    assert advice_after(scale, CALM, 1, workers=4) == [f"-1 little to do for {DOWN_AFTER} s"]


def test_workers_that_hold_many_requests_stay() -> None:
    holding = replace(CALM, in_flight=75)
    assert advice_after(scaler(), holding, 2 * DOWN_AFTER, workers=3) == []


def test_workers_that_compute_stay() -> None:
    computing = replace(CALM, busy_cpus=1.9)
    assert advice_after(scaler(), computing, 2 * DOWN_AFTER, workers=4) == []


def test_without_memory_for_one_more_that_is_said_once() -> None:
    short = replace(WAITING, free_memory=60 << 20)
    assert advice_after(scaler(), short, 30) == [
        "+0 requests waited 84 ms, but there is no memory for another worker"
    ]


def test_what_is_unknown_of_memory_is_no_reason_against() -> None:
    assert len(advice_after(scaler(), replace(WAITING, free_memory=None), UP_AFTER)) == 1


def test_a_change_for_another_reason_begins_anew() -> None:
    scale = scaler()
    advice_after(scale, WAITING, UP_AFTER - 1)
    scale.rest()
    assert advice_after(scale, WAITING, UP_AFTER - 1) == []


def test_a_long_quiet_time_counts_as_long_as_it_is() -> None:
    quiet = replace(CALM, seconds=10.0)
    assert len(advice_after(scaler(), quiet, DOWN_AFTER // 10, workers=4)) == 1


def test_one_long_look_is_no_burst_of_signs() -> None:
    assert advice_after(scaler(), replace(WAITING, seconds=10.0), 1) == []
