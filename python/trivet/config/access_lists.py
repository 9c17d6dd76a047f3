"""The numbers that lists of addresses have on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivet.config.value.peer import Peer
from trivet.wire import edge_config

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trivet.config.settings import Settings


class AccessLists:
    """The lists of a configuration: those with names, and one for each set of addresses."""

    def __init__(self, settings: Settings) -> None:
        self._named = {name: number for number, name in enumerate(settings.list)}
        self._lists = [
            edge_config.AddressList(
                name=name,
                networks=tuple(map(str, each.networks)),
                file=str(each.file) if each.file else None,
            )
            for name, each in settings.list.items()
        ]
        self._unnamed: dict[tuple[str, ...], int] = {}

    def numbers(self, names: Iterable[str]) -> tuple[int, ...]:
        """Give the numbers of what an option names: lists, addresses, networks, words."""
        listed, networks = set(), set()
        for name in names:
            if name in self._named:
                listed.add(self._named[name])
            else:
                networks.add(str(Peer(name)))
        if networks:
            listed.add(self._number(tuple(sorted(networks))))
        return tuple(sorted(listed))

    def numbers_or_none(self, names: Iterable[str] | None) -> tuple[int, ...] | None:
        """As `numbers`, for an option that may be left out."""
        return None if names is None else self.numbers(names)

    def lists(self) -> tuple[edge_config.AddressList, ...]:
        """List what was given a number, in their order."""
        return tuple(self._lists)

    def _number(self, networks: tuple[str, ...]) -> int:
        if networks not in self._unnamed:
            self._unnamed[networks] = len(self._lists)
            name = ", ".join(networks)
            new = edge_config.AddressList(name=name, networks=networks, file=None)
            self._lists.append(new)
        return self._unnamed[networks]
