"""The interface, with a socket for the kernel's side of it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from mlvpnd.dataplane.plane import PlaneListener
from mlvpnd.dataplane.reference import TUN_BURST as BURST
from mlvpnd.dataplane.reference import ReferencePlane
from mlvpnd.helper.client import Configured, HelperClient, HelperError, TunDescriptor
from mlvpnd.net.mirror import Mirror
from mlvpnd.net.netlink import LinkNews
from mlvpnd.net.tun import TunDevice
from mlvpnd.offload.mss import limits_for
from mlvpnd.protocol.links.session import Session
from mlvpnd.systemd.fd_store import Keeper
from mlvpnd.tunnel import interface as interface_module
from mlvpnd.tunnel.interface import Interface
from tests.support.fd_store import Store

LIMIT = 5.0
GONE = OSError(77, "File descriptor in bad state")


class Helper:
    """Opens the ends that it is given, and keeps a list of what it was asked."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []
        self.asked: list[str] = []
        self.routes: list[bool] = []
        self.done: tuple[str, ...] = ()
        self.refused = ""
        self.refuses = False
        self.answering = asyncio.Event()
        self.answering.set()

    def use_tun(self, descriptor: Callable[[], int]) -> None:
        self.descriptor = descriptor

    async def open_tun(self) -> TunDescriptor:
        self.asked.append("open")
        if not self.ends:
            raise HelperError("open-tun: busy")
        return TunDescriptor(self.ends.pop().detach(), "mlvpn1", 1400)

    async def configure_tun(self, *, ipv6_path: bool, default_routes: bool) -> Configured:
        self.asked.append(f"configure ipv6_path={ipv6_path}")
        await self.answering.wait()
        if self.refuses:
            raise HelperError("configure-tun: no")
        self.routes.append(default_routes)
        return Configured(1408 if ipv6_path else 1428, self.done, self.refused)

    async def unconfigure_tun(self) -> None:
        self.asked.append("unconfigure")
        if self.refuses:
            raise HelperError("unconfigure-tun: no")


class Made:
    """An interface, its helper, and what was read from it."""

    def __init__(self, keeper: Keeper | None) -> None:
        ours, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.helper = Helper()
        device = TunDevice(ours.detach())
        self.interface = Interface(cast(HelperClient, self.helper), device, "mlvpn0", 1428, keeper=keeper)
        self.bursts: list[list[bytes]] = []
        self.regained = 0

    def _count(self) -> None:
        self.regained += 1

    def send(self, packets: list[bytes], _now: float) -> None:
        """Stands for the session's method."""
        self.bursts.append(packets)

    def after(self) -> None:
        """Stands for the driver's method."""

    def received(self, number: int) -> None:
        """Stands for the driver's method."""


@asynccontextmanager
async def made(keeper: Keeper | None = None) -> AsyncIterator[Made]:
    one = Made(keeper)
    plane = ReferencePlane(asyncio.get_running_loop())
    plane.begin(cast(Session, one), one.interface.device, one)
    one.interface.start(plane, one._count)
    with one.kernel:
        yield one
    one.interface.pause()
    one.interface.close()


def run(steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(steps())


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not happened():  # noqa: ASYNC110  (there is nothing to wait for)
            await asyncio.sleep(0.002)


def test_packets_come_in_bursts_of_a_bounded_size() -> None:
    async def steps() -> None:
        async with made() as one:
            packets = [b"%d" % number for number in range(BURST + 5)]
            for packet in packets:
                one.kernel.send(packet)
            await until(lambda: sum(map(len, one.bursts)) == len(packets))
            assert one.bursts == [packets[:BURST], packets[BURST:]]
            one.interface.pause()
            one.kernel.send(b"late")
            await asyncio.sleep(0.02)
            assert len(one.bursts) == 2

    run(steps)


def test_an_ipv6_path_lessens_an_unset_mtu_once() -> None:
    async def steps() -> None:
        async with made() as one:
            for _ in range(2):
                one.interface.use_ipv6(mtu_is_unset=True)
            await until(lambda: one.interface.mtu == 1408)
            assert one.helper.asked == ["configure ipv6_path=True"]

    run(steps)


def test_a_set_mtu_stays() -> None:
    async def steps() -> None:
        async with made() as one:
            one.interface.use_ipv6(mtu_is_unset=False)
            await asyncio.sleep(0.02)
            assert one.helper.asked == []

    run(steps)


def test_what_the_helper_refuses_is_told_and_the_tunnel_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps() -> None:
        async with made() as one:
            one.helper.refuses = True
            await one.interface.configure()
            assert one.interface.mtu == 1428
            one.kernel.send(b"packet")
            await until(lambda: one.bursts == [[b"packet"]])

    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    run(steps)
    assert "mlvpn0 configure-tun: no" in caplog.messages


def test_what_is_asked_for_while_it_is_configured_is_one_more_turn() -> None:
    async def steps() -> None:
        async with made() as one:
            one.helper.answering.clear()
            for _ in range(100):
                one.interface.reconfigure()
                await asyncio.sleep(0)
            assert len(one.helper.asked) == 1
            one.helper.answering.set()
            await asyncio.sleep(0.02)
            assert len(one.helper.asked) == 2

    run(steps)


def test_a_deleted_interface_is_asked_for_until_it_is_there_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interface_module, "RETRY", 0.01)
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)

    async def steps() -> None:
        with Store() as store:
            async with made(Keeper(store.service())) as one:
                one.interface.lost(GONE)
                await until(lambda: one.helper.asked == ["open"] * 3)
                assert one.regained == 0
                ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                with kernel:
                    inode = os.fstat(ours.fileno()).st_ino
                    one.helper.ends.append(ours)
                    await until(lambda: one.regained == 1)
                    assert (one.interface.name, one.interface.mtu) == ("mlvpn1", 1428)
                    assert one.helper.asked[-2:] == ["open", "configure ipv6_path=False"]
                    # Requests about the interface, and the next process, have the new descriptor.
                    assert os.fstat(one.helper.descriptor()).st_ino == inode
                    assert os.fstat(store.kept["tun"]).st_ino == inode
                    kernel.send(b"packet")
                    await until(lambda: one.bursts == [[b"packet"]])

    run(steps)
    (event,) = [vars(record)["journal"] for record in caplog.records if "journal" in vars(record)]
    assert event == {"EVENT": "interface-lost"}


def test_a_stop_ends_the_search_for_it() -> None:
    async def steps() -> None:
        async with made() as one:
            one.interface.lost(GONE)
            await asyncio.sleep(0)
        assert one.regained == 0
        assert len(asyncio.all_tasks()) <= 2

    run(steps)


def test_segments_are_limited_to_the_mtu_or_to_what_the_file_says() -> None:
    async def steps() -> None:
        async with made() as one:
            interface = one.interface
            assert interface.mss == limits_for(1428) == interface.device.mss
            interface.follow(1200, configures=False)
            assert interface.mss == (1200, 1200) == interface.device.mss
            interface.follow(0, configures=False)
            assert interface.mss == (0, 0) == interface.device.mss
            interface.follow(None, configures=False)
            assert interface.mss == limits_for(1428)
            interface.use_ipv6(mtu_is_unset=True)
            await until(lambda: interface.mtu == 1408)
            assert interface.mss == limits_for(1408) == interface.device.mss

    run(steps)


@pytest.fixture
def mtus(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the kernel says of mlvpn7, which is the interface."""
    mtus = {"mlvpn7": 1428}
    monkeypatch.setattr(interface_module, "interface_of", lambda _descriptor: ("mlvpn7", True))
    monkeypatch.setattr(interface_module, "mtu_of", mtus.__getitem__)
    return mtus


def test_an_mtu_that_somebody_sets_is_followed(mtus: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps() -> None:
        async with made() as one:
            mtus["mlvpn7"] = 1300
            one.interface.look(Mirror())
            assert (one.interface.mtu, one.interface.mss) == (1300, limits_for(1300))
            monkeypatch.undo()  # the descriptor is no interface's: the interface is gone just now
            one.interface.look(Mirror())
            assert one.interface.mtu == 1300

    run(steps)


def test_an_answer_of_the_helper_does_not_hide_what_somebody_set_meanwhile(mtus: dict[str, int]) -> None:
    async def steps() -> None:
        async with made() as one:
            one.helper.answering.clear()
            one.interface.reconfigure()
            await until(lambda: one.helper.asked)
            mtus["mlvpn7"] = 1300
            one.interface.look(Mirror())
            one.helper.answering.set()
            await asyncio.sleep(0.02)
            assert one.interface.mtu == 1300

    run(steps)


def test_a_bridge_with_longer_frames_is_told_of_once(
    mtus: dict[str, int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    mirror = Mirror()

    def tell(number: int, name: str, mtu: int, bridge: int) -> None:
        mirror.take(LinkNews(number, name, up=True, running=True, gone=False, mtu=mtu, bridge=bridge))

    async def steps() -> None:
        async with made() as one:
            tell(7, "mlvpn7", 1428, 9)
            one.interface.look(mirror)
            assert caplog.messages == []
            for _ in range(3):
                tell(3, "eth0", 1500, 9)
                one.interface.look(mirror)
            (told,) = caplog.messages
            assert told.startswith("the bridge drops frames of more than 1428 bytes for mlvpn7 without a message: ")
            assert "its other port eth0 takes 1500 bytes. " in told
            assert told.endswith("Set mtu = 1500 at both ends")
            mtus["mlvpn7"] = 1500
            one.interface.look(mirror)
            mtus["mlvpn7"] = 1400
            one.interface.look(mirror)
            assert len(caplog.messages) == 2

    run(steps)


def test_an_interface_may_be_configured_before_it_starts() -> None:
    async def steps() -> None:
        ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        helper = Helper()
        interface = Interface(cast(HelperClient, helper), TunDevice(ours.detach()), "mlvpn0", 1300)
        with kernel:
            await interface.configure()
            assert (interface.mtu, interface.mss) == (1428, (0, 0))
            plane = ReferencePlane(asyncio.get_running_loop())
            plane.begin(cast(Session, None), interface.device, cast(PlaneListener, None))
            interface.start(plane, lambda: None)
            assert interface.mss == limits_for(1428)
            interface.pause()
            interface.close()

    run(steps)


def test_default_routes_are_in_while_a_link_is_up_and_a_while_longer() -> None:
    async def steps() -> None:
        async with made() as one:
            one.interface.configures = True
            for _ in range(2):
                one.interface.link_is_up()
            await until(lambda: one.helper.routes == [True])
            one.interface.no_link_is_up(0.05)
            one.interface.link_is_up()
            await asyncio.sleep(0.1)
            assert one.helper.routes == [True]
            one.interface.no_link_is_up(0.05)
            await until(lambda: one.helper.routes == [True, False])

    run(steps)


def test_nothing_is_asked_for_routes_that_are_not_ours_to_set() -> None:
    async def steps() -> None:
        async with made() as one:
            one.interface.link_is_up()
            await asyncio.sleep(0.02)
            assert one.helper.asked == []
            one.interface.follow(None, configures=True)  # the file asks for them now
            await until(lambda: one.helper.routes == [True])

    run(steps)


def test_a_stop_takes_no_routes_out() -> None:
    async def steps() -> None:
        async with made() as one:
            one.interface.configures = True
            one.interface.link_is_up()
            await until(lambda: one.helper.routes == [True])
            one.interface.pause()
            one.interface.no_link_is_up(0.01)
            await asyncio.sleep(0.05)
            assert one.helper.routes == [True]

    run(steps)


def test_what_somebody_takes_is_put_back_until_it_is_given_up(
    mtus: dict[str, int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    mirror = Mirror()
    up = LinkNews(7, "mlvpn7", up=True, running=True, gone=False, mtu=1428)

    async def steps() -> None:
        async with made() as one:
            one.interface.configures = True
            mirror.take(up)
            one.interface.look(mirror)
            await until(lambda: len(one.helper.asked) == 1)
            one.interface.look(mirror)  # the news was about another interface
            await asyncio.sleep(0.02)
            assert (len(one.helper.asked), caplog.messages) == (1, [])
            one.helper.done = ("link up",)
            for number in range(7):
                if number == 4:
                    one.helper.answering.clear()
                mirror.take(up._replace(up=bool(number % 2)))
                one.interface.look(mirror)
                await asyncio.sleep(0.02)
            one.helper.answering.set()  # the news of the last two came before it was given up
            await until(lambda: len(caplog.messages) == 6)
            await asyncio.sleep(0.02)
            assert len(one.helper.asked) == 1 + 5
            assert caplog.messages[:5] == ["mlvpn0 somebody took away: link up; put back"] * 5
            assert len(caplog.messages) == 6
            one.interface.follow(None, configures=True)
            await until(lambda: len(one.helper.asked) == 7)
            assert len(caplog.messages) == 6  # what a reload sets was taken by nobody
            mirror.take(up)
            one.interface.look(mirror)
            await until(lambda: len(caplog.messages) == 7)

    run(steps)


def test_without_configure_interface_nothing_is_put_back(mtus: dict[str, int]) -> None:
    async def steps() -> None:
        async with made() as one:
            mirror = Mirror()
            mirror.take(LinkNews(7, "mlvpn7", up=False, running=False, gone=False))
            one.interface.look(mirror)
            await asyncio.sleep(0.02)
            assert one.helper.asked == []

    run(steps)


def test_what_is_refused_each_time_is_told_once(
    mtus: dict[str, int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    mirror = Mirror()

    async def steps() -> None:
        async with made() as one:
            one.interface.configures = True
            one.helper.refused = "mlvpn0: route 0.0.0.0/0: another one exists already"
            await one.interface.configure()
            for number in range(3):
                mirror.take(LinkNews(7, "mlvpn7", up=bool(number % 2), running=True, gone=False))
                one.interface.look(mirror)
                await asyncio.sleep(0.02)
            assert len(one.helper.asked) == 4
            assert caplog.messages == [one.helper.refused]

    run(steps)


def test_all_is_undone_before_a_stop_that_was_asked_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)

    async def steps() -> None:
        async with made() as one:
            await one.interface.release(kill_switch=True)  # the file does not let us configure it
            one.interface.configures = True
            await one.interface.release(kill_switch=False)
            assert one.helper.asked == []  # all goes with the interface
            await one.interface.release(kill_switch=True)
            one.helper.refuses = True
            monkeypatch.setattr(interface_module, "is_persistent", lambda _descriptor: True)
            await one.interface.release(kill_switch=False)
            assert one.helper.asked == ["unconfigure"] * 2
            assert caplog.messages == ["mlvpn0 unconfigure-tun: no"]

    run(steps)
