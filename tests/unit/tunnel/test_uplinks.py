"""What news of the kernel does to links: who is given up for which reason, who is tried again, and what is missed."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from mlvpnd.config.model import LinkConfig
from mlvpnd.net.mirror import Mirror
from mlvpnd.net.netlink import AddressNews, DumpEnd, LinkNews, News, Told
from mlvpnd.protocol.links.events import DownReason
from mlvpnd.tunnel import uplinks as uplinks_module
from mlvpnd.tunnel.link_opener import LinkOpener
from mlvpnd.tunnel.uplinks import Condition, Uplinks, condition_of

A, B = "192.0.2.1", "192.0.2.2"
END = DumpEnd(whole=True)


def link(number: int, name: str, *, up: bool = True, running: bool = True, gone: bool = False) -> LinkNews:
    return LinkNews(number, name, up, running, gone)


def address(number: int, host: str, *, usable: bool = True) -> AddressNews:
    return AddressNews(number, socket.inet_aton(host), usable)


@dataclass
class PlaneListener:
    """A link as far as its uplink is concerned."""

    config: LinkConfig
    local_hosts: list[str]
    socket: object = "open"
    nameless: bool = False
    back: int = 0

    @property
    def device(self) -> str:
        return self.config.binddevice

    def uplink_is_back(self) -> None:
        self.back += 1


@dataclass
class Kernel:
    """Stands for all sockets that are opened, one after the other; any of them reads what waits."""

    news: list[Told] = field(default_factory=list)
    overrun: bool = False
    asked: list[str] = field(default_factory=list)
    refuse: int = 0
    open: int = 0
    ends: list[socket.socket] = field(default_factory=list)

    def __call__(self) -> KernelSocket:
        if self.refuse:
            raise OSError(self.refuse, os.strerror(self.refuse))
        return KernelSocket(self)

    def tell(self, *news: News, asked: bool = False) -> None:
        self.news += [Told(one, asked) for one in news]
        self.wake()

    def overflow(self) -> None:
        self.overrun = True
        self.wake()

    def wake(self) -> None:
        self.ends[-1].send(b"x")


class KernelSocket:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        kernel.ends.append(theirs)
        kernel.open += 1

    def fileno(self) -> int:
        return self._ours.fileno()

    def ask_links(self) -> None:
        self._kernel.asked.append("links")

    def ask_addresses(self) -> None:
        self._kernel.asked.append("addresses")

    def receive(self, limit: int) -> list[Told]:
        self._ours.recv(1000)
        if self._kernel.overrun:
            self._kernel.overrun = False
            self._kernel.news.clear()
            raise OSError(errno.ENOBUFS, "No buffer space available")
        taken, self._kernel.news[:] = self._kernel.news[:limit], self._kernel.news[limit:]
        if self._kernel.news:
            self._kernel.wake()
        return taken

    def close(self) -> None:
        self._ours.close()
        self._kernel.open -= 1


class Followed:
    """Links, and what was reported of them."""

    def __init__(self, kernel: Kernel, *drivers: PlaneListener) -> None:
        self.kernel = kernel
        self.drivers = dict(enumerate(drivers))
        self.lost: list[tuple[int, DownReason]] = []
        self.heard = 0
        self.uplinks = Uplinks(
            cast(dict[int, LinkOpener], self.drivers), lambda *one: self.lost.append(one), self._on_heard
        )

    def _on_heard(self, _mirror: Mirror) -> None:
        self.heard += 1

    async def answer(self, links: list[News], addresses: list[News]) -> None:
        """The kernel tells all that it was asked for."""
        self.kernel.tell(*links, END, asked=True)
        await self.settle()
        self.kernel.tell(*addresses, END, asked=True)
        await self.settle()

    async def tell(self, *news: News) -> None:
        self.kernel.tell(*news)
        await self.settle()

    async def settle(self) -> None:
        await asyncio.sleep(0.02)  # the news is read by then, however late it is
        await asyncio.sleep(0.02)  # and looked at

    def taken(self) -> list[tuple[int, DownReason]]:
        found, self.lost = self.lost, []
        return found


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    made = Kernel()
    monkeypatch.setattr(uplinks_module, "NetlinkSocket", made)
    monkeypatch.setattr(uplinks_module, "SETTLE", 0.002)
    monkeypatch.setattr(uplinks_module, "FIRST_PAUSE", 0.01)
    yield made
    assert made.open == 0
    for end in made.ends:
        end.close()


def follow(kernel: Kernel, steps: Callable[[Followed], Awaitable[None]], *drivers: PlaneListener) -> None:
    async def main() -> None:
        followed = Followed(kernel, *drivers)
        followed.uplinks.start()
        try:
            await steps(followed)
        finally:
            followed.uplinks.stop()

    asyncio.run(main())


def bound(*hosts: str, device: str = "", **more: Any) -> PlaneListener:
    return PlaneListener(LinkConfig("adsl1", binddevice=device), list(hosts), **more)


ETH0: tuple[list[News], list[News]] = [link(2, "eth0")], [address(2, A)]


@pytest.mark.parametrize(
    ("steps", "reasons"),
    [
        ([address(2, A, usable=False)], [DownReason.ADDRESS_GONE]),
        ([link(2, "eth0", running=False)], [DownReason.CARRIER_LOST]),
        ([link(2, "eth0", up=False, running=False)], [DownReason.INTERFACE_DOWN]),
        ([address(2, A, usable=False), link(2, "eth0", gone=True)], [DownReason.INTERFACE_GONE]),
        # The IPv6 address goes with the interface. An interface that is deleted is set down first.
        ([link(2, "eth0", up=False, running=False), address(2, A, usable=False)], [DownReason.INTERFACE_DOWN]),
        ([link(2, "eth0", running=False), address(2, A, usable=False)], [DownReason.ADDRESS_GONE]),
        # News of nothing that the socket is bound to.
        ([address(2, B), address(2, B, usable=False), link(3, "eth1"), link(3, "eth1", gone=True)], []),
        ([link(2, "renamed")], []),
        # The address is gone and back before anybody looks.
        ([address(2, A, usable=False), address(3, A)], []),
    ],
)
def test_why_a_socket_that_is_bound_to_an_address_is_lost(
    kernel: Kernel, steps: list[News], reasons: list[DownReason]
) -> None:
    async def scenario(followed: Followed) -> None:
        await followed.answer(*ETH0)
        await followed.tell(*steps)
        assert [reason for _, reason in followed.taken()] == reasons

    follow(kernel, scenario, bound(A))


@pytest.mark.parametrize(
    ("steps", "reasons"),
    [
        ([address(2, A, usable=False)], []),
        ([link(2, "eth0", running=False)], [DownReason.CARRIER_LOST]),
        ([link(2, "eth0", gone=True)], [DownReason.INTERFACE_GONE]),
        ([link(2, "renamed")], [DownReason.INTERFACE_GONE]),
        ([link(2, "eth0", gone=True), link(3, "eth0")], [DownReason.INTERFACE_GONE]),
        ([link(4, "eth1", running=False)], []),
    ],
)
def test_why_a_socket_that_is_bound_to_an_interface_is_lost(
    kernel: Kernel, steps: list[News], reasons: list[DownReason]
) -> None:
    async def scenario(followed: Followed) -> None:
        await followed.answer(*ETH0)
        await followed.tell(*steps)
        assert [reason for _, reason in followed.taken()] == reasons

    follow(kernel, scenario, bound("0.0.0.0", device="eth0"))


def test_a_socket_that_waits_for_a_carrier_is_lost_with_its_interface(kernel: Kernel) -> None:
    """The socket is bound to this interface, and would not hear the next one."""

    async def scenario(followed: Followed) -> None:
        await followed.answer([link(2, "eth0", running=False)], [])
        await followed.tell(link(2, "eth0", gone=True), link(3, "eth0"))
        assert followed.taken() == [(0, DownReason.INTERFACE_GONE)]
        await followed.tell(link(3, "eth0", running=False))
        assert followed.taken() == [(0, DownReason.CARRIER_LOST)]
        await followed.tell(link(3, "eth0", gone=True))
        assert followed.taken() == [(0, DownReason.INTERFACE_GONE)]

    follow(kernel, scenario, bound("0.0.0.0", device="eth0"))


def test_both_an_address_and_an_interface(kernel: Kernel) -> None:
    """Packets go by the interface, whichever has the address."""

    async def scenario(followed: Followed) -> None:
        await followed.answer([link(1, "lo"), link(2, "eth0")], [address(1, A)])
        await followed.tell(link(1, "lo", running=False))
        assert followed.taken() == []
        await followed.tell(link(2, "eth0", running=False))
        assert followed.taken() == [(0, DownReason.CARRIER_LOST)]
        await followed.tell(link(2, "eth0"))
        await followed.tell(address(1, A, usable=False))
        assert followed.taken() == [(0, DownReason.ADDRESS_GONE)]

    follow(kernel, scenario, bound(A, device="eth0"))


def test_a_socket_that_is_bound_to_nothing_is_never_lost(kernel: Kernel) -> None:
    async def scenario(followed: Followed) -> None:
        await followed.answer(*ETH0)
        await followed.tell(address(2, A, usable=False), link(2, "eth0", gone=True))
        assert followed.taken() == []

    follow(kernel, scenario, bound("0.0.0.0"), bound("::"))


def test_only_a_change_counts(kernel: Kernel) -> None:
    """A socket that was bound without a carrier, or while no interface had its address, is as good as before."""

    async def scenario(followed: Followed) -> None:
        await followed.answer([link(2, "eth0", running=False)], [address(2, B)])
        await followed.tell(address(2, "192.0.2.3"), link(2, "eth0", up=False, running=False))
        assert followed.taken() == []
        # Only an uplink that was seen well can be lost.
        await followed.tell(link(2, "eth0"))
        await followed.tell(link(2, "eth0", running=False))
        assert followed.taken() == [(1, DownReason.CARRIER_LOST)]
        # A bad uplink that becomes bad in another way changes nothing.
        await followed.tell(link(2, "eth0", gone=True))
        assert followed.taken() == []
        assert [driver.back for driver in followed.drivers.values()] == [0, 0]

    follow(kernel, scenario, bound("127.0.0.2"), bound(B))


def test_an_address_on_two_interfaces_needs_one_of_them(kernel: Kernel) -> None:
    async def scenario(followed: Followed) -> None:
        await followed.answer([link(2, "eth0"), link(3, "eth1")], [address(2, A), address(3, A)])
        await followed.tell(link(2, "eth0", running=False))
        assert followed.taken() == []
        await followed.tell(link(3, "eth1", up=False, running=False))
        assert followed.taken() == [(0, DownReason.CARRIER_LOST)]

    follow(kernel, scenario, bound(A))


def test_what_waits_for_its_uplink_is_tried_when_that_is_back(kernel: Kernel) -> None:
    at_address, at_device, at_port = bound(A), bound("::", device="ppp0"), bound(B)
    for driver in (at_address, at_device, at_port):
        driver.socket = None

    async def scenario(followed: Followed) -> None:
        await followed.answer([link(2, "eth0", running=False)], [address(2, B)])
        await followed.tell(link(9, "other"), address(9, "192.0.2.9"))
        assert [at_address.back, at_device.back] == [0, 0]
        await followed.tell(address(9, A))
        assert [at_address.back, at_device.back] == [1, 0]
        await followed.tell(link(7, "ppp0"))
        assert [at_address.back, at_device.back] == [1, 1]
        # An uplink that is back does not come back again.
        await followed.tell(address(9, "192.0.2.10"))
        assert [at_address.back, at_device.back, at_port.back] == [1, 1, 0]
        await followed.tell(link(2, "eth0"))
        assert at_port.back == 1
        assert followed.taken() == []

    follow(kernel, scenario, at_address, at_device, at_port)


def test_a_name_is_looked_up_when_anything_is_back(kernel: Kernel) -> None:
    driver = bound(socket=None, nameless=True)

    async def scenario(followed: Followed) -> None:
        await followed.answer(*ETH0)
        driver.back = 0
        await followed.tell(link(2, "eth0", running=False), address(2, A, usable=False))
        assert driver.back == 0
        await followed.tell(link(2, "eth0"))
        await followed.tell(address(2, B))
        assert driver.back == 2

    follow(kernel, scenario, driver)


def test_what_was_missed_is_asked_for(kernel: Kernel) -> None:
    async def scenario(followed: Followed) -> None:
        await followed.answer([link(2, "eth0"), link(3, "eth1")], [address(2, A), address(3, B)])
        assert kernel.asked == ["links", "addresses"]
        kernel.overflow()
        await asyncio.sleep(0.1)
        assert kernel.asked == ["links", "addresses", "links"]
        # What is known is still followed meanwhile.
        await followed.tell(link(3, "eth1", running=False))
        assert followed.taken() == [(1, DownReason.CARRIER_LOST)]
        await followed.answer([link(2, "eth0"), link(3, "eth1", running=False)], [address(3, B)])
        assert followed.taken() == [(0, DownReason.ADDRESS_GONE)]
        assert kernel.asked == ["links", "addresses"] * 2

    follow(kernel, scenario, bound(A), bound(B))


def test_what_changes_while_it_is_told_is_asked_for_again_and_less_and_less_often(kernel: Kernel) -> None:
    async def scenario(followed: Followed) -> None:
        loop = asyncio.get_running_loop()

        async def seconds_until_asked() -> float:
            kernel.tell(link(2, "eth0"), DumpEnd(whole=False), link(2, "eth0"), END, asked=True)
            count, begin = len(kernel.asked), loop.time()
            while len(kernel.asked) == count:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            kernel.news.clear()
            return loop.time() - begin

        pauses = [await seconds_until_asked() for _ in range(6)]
        assert all(0.01 * 2**number <= pause for number, pause in enumerate(pauses))
        assert kernel.asked == ["links"] * 7
        await followed.answer(*ETH0)
        assert await seconds_until_asked() < pauses[-1]
        assert kernel.asked[7:] == ["addresses", "links"]

    follow(kernel, scenario)


def test_a_burst_is_read_in_turns_and_looked_at_once(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Mirror] = []

    def look(mirror: Mirror, device: str, addresses: Sequence[bytes]) -> Condition:
        looks.append(mirror)
        return condition_of(mirror, device, addresses)

    monkeypatch.setattr(uplinks_module, "condition_of", look)

    async def scenario(followed: Followed) -> None:
        await followed.answer(*ETH0)
        looks.clear()
        kernel.tell(*(address(2, f"10.0.{i // 250}.{i % 250}") for i in range(5000)))
        turns = 0
        while kernel.news:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 5000 / uplinks_module.BURST
        await followed.settle()
        # There is a look every 2 ms, or a single one, but not one for each address.
        assert 0 < len(looks) < 500
        assert looks[-1].holders(socket.inet_aton("10.0.19.249")) == {2}

    follow(kernel, scenario, bound(A))


def test_links_come_and_go_themselves(kernel: Kernel) -> None:
    async def scenario(followed: Followed) -> None:
        await followed.answer(*ETH0)
        followed.drivers[5] = bound(A)
        await followed.tell(address(2, B))
        del followed.drivers[0]
        await followed.tell(address(2, A, usable=False))
        assert followed.taken() == [(5, DownReason.ADDRESS_GONE)]

    follow(kernel, scenario, bound(A))


def test_a_system_that_tells_nothing_is_a_line(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    kernel.refuse = errno.EAFNOSUPPORT

    async def scenario(followed: Followed) -> None:
        await asyncio.sleep(0.05)

    with caplog.at_level(logging.INFO):
        follow(kernel, scenario, bound(A))
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [
        (
            logging.INFO,
            "changes of addresses and carriers cannot be followed: Address family not supported by protocol",
        )
    ]


def test_whatever_is_told_is_heard_once_for_a_burst(kernel: Kernel) -> None:
    async def steps(followed: Followed) -> None:
        await followed.answer([], [])
        before = followed.heard
        await followed.tell(*[LinkNews(7, "mlvpn0", up=True, running=True, gone=False)] * 20)
        assert followed.heard == before + 1
        await followed.settle()
        assert followed.heard == before + 1

    follow(kernel, steps)
