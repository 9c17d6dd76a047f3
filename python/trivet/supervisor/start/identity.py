"""Who the processes below the supervisor are: another user and group, by name or number.

The supervisor itself stays who started it: it has opened the listening sockets before, and goes
on to need what only it may do, such as removing its files at the end.
"""

import grp
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass

from trivet.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Identity:
    """A user with a group and supplementary groups; `name` is empty for a number without one."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str

    def variables(self) -> dict[str, str]:
        """Return the variables that tell programs who they are."""
        if not self.name:
            return {}
        return {"HOME": self.home, "LOGNAME": self.name, "USER": self.name}


def identity_of(
    user: str | None, group: str | None, geteuid: Callable[[], int] = os.geteuid
) -> Identity | None:
    """Look up whom the options name; `None` where that is who we are already.

    The user's own group is the default for `group`, and the user's supplementary groups are kept
    (getgrouplist(3)).

    Raises:
        ConfigError: There is no such user or group, or this process may not become it.
    """
    if user is None and group is None:
        return None
    gid = None if group is None else _group(group)
    if user is None:
        identity = Identity(geteuid(), gid or 0, () if gid is None else (gid,), "", "")
    else:
        identity = _user(user, gid)
    if geteuid() != 0:
        if (identity.uid, identity.gid) == (geteuid(), os.getegid()):
            return None
        wanted = f"user `{user}`" if user is not None else f"group `{group}`"
        raise ConfigError(
            f"only root can run workers as {wanted}",
            code="config.not_root",
            hint="start Trivet as root, or leave `server.user` and `server.group` out",
        )
    return identity


def _user(user: str, gid: int | None) -> Identity:
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        if user.isdecimal() and gid is not None and int(user) < _TOO_GREAT:
            return Identity(int(user), gid, (gid,), "", "")
        hint = "a number without an entry needs `server.group` too" if user.isdecimal() else None
        raise ConfigError(
            f"there is no user `{user}`",
            code="config.unknown_user",
            hint=hint or "`getent passwd` lists the users",
        ) from None
    own = entry.pw_gid if gid is None else gid
    groups = tuple(os.getgrouplist(entry.pw_name, own))
    return Identity(entry.pw_uid, own, groups, entry.pw_name, entry.pw_dir)


def _group(group: str) -> int:
    if group.isdecimal() and int(group) < _TOO_GREAT:
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(
            f"there is no group `{group}`",
            code="config.unknown_user",
            hint="`getent group` lists the groups",
        ) from None


_TOO_GREAT = 2**32 - 1
"""The first number that no user or group can have: to the kernel it means "no change"."""
