from trivet.supervisor.fleet.backoff import Backoff


def test_the_wait_doubles_and_has_an_end() -> None:
    backoff = Backoff()
    assert [backoff.next_delay(0) for _ in range(11)] == [
        *(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6),
        *(30.0, 30.0),
    ]


def test_half_a_minute_of_life_starts_it_anew() -> None:
    backoff = Backoff(failures=9)
    assert backoff.next_delay(29.9) == 30.0
    assert backoff.next_delay(30.0) == 0.1


def test_months_of_failures_do_not_overflow() -> None:
    assert Backoff(failures=10**9).next_delay(0) == 30.0
