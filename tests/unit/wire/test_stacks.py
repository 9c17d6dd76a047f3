from pathlib import Path

import pytest
from trivet.wire.stacks import Place, dumped, shown

SRV = Path("/srv/shop")
SITE = "/srv/venv/lib/python3.12/site-packages"
OURS = [
    Place("/usr/lib/python3.12/threading.py", 1012, "run"),
    Place(f"{SITE}/trivet/worker/serving.py", 130, "_run"),
]


def test_the_app_is_shown_whole_and_of_libraries_the_innermost_frame() -> None:
    stack = [
        *OURS,
        Place(f"{SITE}/flask/app.py", 1488, "wsgi_app"),
        Place("/srv/shop/app.py", 88, "report"),
        Place("/srv/shop/db.py", 41, "run"),
        Place(f"{SITE}/psycopg/cursor.py", 97, "execute"),
        Place(f"{SITE}/psycopg/waiting.py", 7, "wait"),
    ]
    assert shown(stack, SRV) == "app.py:88 report -> db.py:41 run -> psycopg/waiting.py:7 wait"


def test_an_app_that_is_a_library_is_shown_whole() -> None:
    stack = [*OURS, *(Place(f"{SITE}/httpbin/core.py", line, "f") for line in (1, 2))]
    assert shown(stack, SRV) == "httpbin/core.py:1 f -> httpbin/core.py:2 f"


def test_an_idle_thread_is_nowhere() -> None:
    assert shown(OURS, SRV) == ""


def test_a_recursion_loses_its_middle() -> None:
    stack = [Place("/srv/shop/app.py", line, "f") for line in range(1, 100)]
    frames = shown(stack, SRV).split(" -> ")
    assert len(frames) == 12
    assert frames[:4] == ["app.py:1 f", "app.py:2 f", "app.py:3 f", "…"]
    assert frames[-1] == "app.py:99 f"


@pytest.mark.parametrize("name", ["", " [trivet-0]"])
def test_a_dump_is_read_thread_by_thread_outermost_first(name: str) -> None:
    text = (
        f"Thread 0x00007f36a0ffe6c0{name} (most recent call first):\n"
        '  File "/srv/shop/app.py", line 5 in inner\n'
        '  File "/srv/shop/app.py", line 9 in outer\n'
        "\n"
        f"Current thread 0x00007f36a1fff6c0{name} (most recent call first):\n"
        '  File "/srv/my "app".py", line ??? in main\n'
    )
    assert list(dumped(text)) == [
        [Place("/srv/shop/app.py", 9, "outer"), Place("/srv/shop/app.py", 5, "inner")],
        [Place('/srv/my "app".py', 0, "main")],
    ]


@pytest.mark.parametrize("text", ["", "rubbish", '  File "a", line 1 in b\n', "Thread 0x1 ("])
def test_what_is_no_dump_has_no_stacks(text: str) -> None:
    assert list(dumped(text)) == []
