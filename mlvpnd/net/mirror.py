"""Interfaces and their addresses, as far as the kernel has told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .netlink import AddressNews, LinkNews, RouteLost


@dataclass(slots=True)
class Uplink:
    """An interface."""

    name: str = ""
    alternatives: frozenset[str] = frozenset()
    """Its other names."""
    up: bool = False
    running: bool = False
    mtu: int = 0
    """Bytes; 0: unknown."""
    bridge: int = 0
    """The number of the bridge whose port it is; 0: none."""
    addresses: set[bytes] = field(default_factory=set)


class Mirror:
    """Takes news in the order of arrival."""

    def __init__(self) -> None:
        self._uplinks: dict[int, Uplink] = {}
        self._by_name: dict[str, int] = {}
        self.gains = 0
        """How often an address came, or an interface became usable."""
        self._changes: Counter[int] = Counter()

    def take(self, news: LinkNews | AddressNews | RouteLost) -> bool:
        """Takes one change; False: no interface and no address has changed."""
        if isinstance(news, RouteLost):
            if news.number == 0 or news.number in self._uplinks:
                self._changes[news.number] += 1
            return False
        changed = self._take_link(news) if isinstance(news, LinkNews) else self._take_address(news)
        if news.number in self._uplinks:
            self._changes[news.number] += changed
        else:
            self._changes.pop(news.number, None)
        return changed

    def changes(self, number: int) -> int:
        """A number that is another one after each change of an interface, and after each loss of a rule."""
        return self._changes[number] + (self._changes[0] if number else 0)

    def _take_link(self, news: LinkNews) -> bool:
        if news.gone:
            gone = self._uplinks.pop(news.number, None)
            if gone is not None:
                self._forget_names(_names(gone), news.number)
            return gone is not None
        uplink = self._uplinks.setdefault(news.number, Uplink())
        name, others = (news.name, news.alternatives) if news.name else (uplink.name, uplink.alternatives)
        mtu = news.mtu or uplink.mtu
        before = uplink.name, uplink.alternatives, uplink.up, uplink.running, uplink.mtu, uplink.bridge
        had = _names(uplink)
        if before == (name, others, news.up, news.running, mtu, news.bridge):
            return False
        self.gains += news.running and not uplink.running
        uplink.name, uplink.alternatives, uplink.up, uplink.running = name, others, news.up, news.running
        uplink.mtu, uplink.bridge = mtu, news.bridge
        self._forget_names(had - _names(uplink), news.number)
        self._by_name |= dict.fromkeys(_names(uplink) - had, news.number)
        return True

    def _forget_names(self, names: frozenset[str], number: int) -> None:
        for name in names:
            if self._by_name.get(name) == number:  # another may have taken it already
                del self._by_name[name]

    def _take_address(self, news: AddressNews) -> bool:
        if news.usable:
            # The kernel may not have told of the interface yet: nothing is known against it.
            addresses = self._uplinks.setdefault(news.number, Uplink(up=True, running=True)).addresses
            if news.address in addresses:
                return False
            addresses.add(news.address)
            self.gains += 1
            return True
        uplink = self._uplinks.get(news.number)
        if uplink is None or news.address not in uplink.addresses:
            return False
        uplink.addresses.remove(news.address)
        return True

    def number(self, name: str) -> int:
        """An interface's number by any of its names; 0: no interface has that name."""
        return self._by_name.get(name, 0)

    def uplink(self, number: int) -> Uplink | None:
        """An interface by its number."""
        return self._uplinks.get(number)

    def widest_beside(self, number: int) -> Uplink | None:
        """The port with the largest MTU among the other ports of an interface's bridge; None: there is no other."""
        port = self._uplinks.get(number)
        if port is None or not port.bridge:
            return None
        others = [one for other, one in self._uplinks.items() if other != number and one.bridge == port.bridge]
        return max(others, key=lambda one: one.mtu) if others else None

    def holders(self, address: bytes) -> set[int]:
        """The numbers of the interfaces that have an address."""
        return {number for number, uplink in self._uplinks.items() if address in uplink.addresses}


def _names(uplink: Uplink) -> frozenset[str]:
    return (uplink.alternatives | {uplink.name}) - {""}
