from trivet.supervisor.spawn import child_environment


def test_children_do_not_see_what_is_for_the_supervisor() -> None:
    environ = {"PATH": "/bin", "NOTIFY_SOCKET": "@x", "LISTEN_FDS": "1", "LISTEN_PID": "7"}
    assert child_environment(environ, None) == {"PATH": "/bin"}
