"""Reading what wrk prints."""

from __future__ import annotations

import pytest

from bench import wrk

CLEAN = """\
Running 4s test @ http://127.0.0.1:23456/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.61ms    1.06ms  20.62ms   88.01%
    Req/Sec    12.31k     1.12k   13.50k    75.00%
  Latency Distribution
     50%  740.00us
     75%    2.97ms
     90%    3.52ms
     99%    1.06s 
  49321 requests in 4.02s, 7.10MB read
Requests/sec:  12268.90
Transfer/sec:      1.50MB
"""  # noqa: W291 - wrk writes that space
WITH_ERRORS = CLEAN.replace(
    "Requests/sec:",
    "  Socket errors: connect 1, read 20, write 0, timeout 300\n"
    "  Non-2xx or 3xx responses: 17\nRequests/sec:",
)


def test_a_clean_run_gives_every_figure_in_base_units() -> None:
    """Latency is in microseconds, the transfer in bytes."""
    assert wrk.parse(CLEAN) == wrk.Result(
        requests=49321,
        rate=12268.90,
        bytes_per_second=1_572_864,
        p50_us=740,
        p99_us=1_060_000,
        bad_statuses=0,
        socket_errors=0,
    )


def test_socket_errors_of_all_kinds_are_added_up() -> None:
    """Connect, read, write and timeout count alike."""
    assert wrk.parse(WITH_ERRORS).socket_errors == 321


def test_answers_outside_of_2xx_and_3xx_are_counted() -> None:
    """Wrk leaves the line out when there are none."""
    assert wrk.parse(WITH_ERRORS).bad_statuses == 17


def test_an_output_without_a_figure_is_refused() -> None:
    """A figure is never made up."""
    with pytest.raises(wrk.WrkError, match="requests in"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")
