import pytest
from hypothesis import given
from hypothesis import strategies as st
from trivet.supervisor.fleet.lifetime import LifetimePlan


def test_without_limits_a_worker_serves_for_ever() -> None:
    lifetime = LifetimePlan().draw(lambda: 1.0)
    assert lifetime.is_over(requests=1 << 60, age_s=1e9, memory=1 << 60) is None


@pytest.mark.parametrize(
    ("facts", "because"),
    [
        ({"requests": 1000, "age_s": 1, "memory": 0}, "after 1,000 requests"),
        ({"requests": 0, "age_s": 3600, "memory": 0}, "after 1 h 0 min"),
        ({"requests": 0, "age_s": 9000, "memory": 0}, "after 2 h 30 min"),
        ({"requests": 0, "age_s": 0, "memory": 600 << 20}, "with 600 MiB of memory"),
        ({"requests": 999, "age_s": 3599, "memory": (512 << 20) - 1}, None),
    ],
)
def test_each_limit_ends_a_workers_service(facts: dict[str, int], because: str | None) -> None:
    plan = LifetimePlan(max_requests=1000, max_age_s=3600, max_memory=512 << 20)
    assert plan.draw(lambda: 0.0).is_over(**facts) == because


def test_a_short_age_is_told_in_seconds() -> None:
    lifetime = LifetimePlan(max_age_s=5).draw(lambda: 0.0)
    assert lifetime.is_over(requests=0, age_s=5.2, memory=0) == "after 5 s"


@given(st.floats(0, 1), st.integers(1, 10**6), st.integers(0, 10**5))
def test_jitter_only_ever_adds(random: float, requests: int, jitter: int) -> None:
    plan = LifetimePlan(max_requests=requests, max_requests_jitter=jitter, max_age_s=100)
    lifetime = plan.draw(lambda: random)
    assert requests <= (lifetime.requests or 0) <= requests + jitter
    assert 100 <= (lifetime.age_s or 0) <= 110.001
