"""The driver on loopback, with a peer by hand on each link."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from mlvpnd.config.model import Config, DataPlane, LinkConfig, Mode, Pacing, RuleAction, RuleConfig
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import Configured, HelperClient
from mlvpnd.net.tun import TunDevice
from mlvpnd.operator.face import LinkChanged, Notice
from mlvpnd.operator.status import LinkState
from mlvpnd.protocol.links import deadlines, handshake
from mlvpnd.protocol.links import session as session_module
from mlvpnd.protocol.links.events import DownReason
from mlvpnd.protocol.sending.rules import Action, Rule
from mlvpnd.protocol.wire.box import derive_key
from mlvpnd.protocol.wire.wire import Header, PacketType, parse
from mlvpnd.tunnel import tunnel as tunnel_module
from mlvpnd.tunnel.interface import Interface
from mlvpnd.tunnel.lasting import Counters, Lasting
from mlvpnd.tunnel.link_opener import MIN_TRY_INTERVAL
from mlvpnd.tunnel.restart import Continuity
from mlvpnd.tunnel.tunnel import Tunnel
from tests.support import planes
from tests.support.hand_peer import HandPeer
from tests.support.session_pair import packet_of

LINKS = ("adsl1", "adsl2")


@pytest.fixture(autouse=True, params=DataPlane, ids=lambda which: str(which.value))
def data_plane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DataPlane:
    """The twin that a test runs on."""
    monkeypatch.setattr(planes, "wanted", request.param)
    return cast(DataPlane, request.param)


class Helper:
    """Does nothing, and keeps a list of what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def use_tun(self, descriptor: Callable[[], int]) -> None:
        pass

    async def tune_socket(self, link: str, sock: socket.socket) -> None:
        pass

    async def configure_tun(self, *, ipv6_path: bool, default_routes: bool) -> Configured:
        self.asked.append(f"configure ipv6_path={ipv6_path}")
        return Configured(1408 if ipv6_path else 1428)

    async def run_script(self, event: str, link: str | None) -> int:
        self.asked.append(f"{event} {link}" if link else event)
        return 0


class Peer:
    """The client of one link."""

    def __init__(self, tunnel: Tunnel, number: int) -> None:
        link_socket = tunnel.drivers[number].socket
        assert link_socket is not None
        address = link_socket.local_address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(address)
        self.hand = HandPeer(0xB0 + number, key=derive_key(b"x"))

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self._socket.send(datagram)

    def received(self) -> list[int]:
        """Types of the datagrams that have come."""
        types = []
        with contextlib.suppress(BlockingIOError):
            while True:
                header = parse(self._socket.recv(1 << 16, socket.MSG_DONTWAIT))
                assert isinstance(header, Header)
                types.append(header.type)
        return types

    def close(self) -> None:
        self._socket.close()


class Disk:
    """Where what outlasts a stop is kept."""

    def __init__(self) -> None:
        self.text: bytes | None = None

    async def read_state(self) -> bytes | None:
        return self.text

    async def write_state(self, text: bytes) -> None:
        self.text = text


@contextlib.asynccontextmanager
async def running(config: Config, helper: Helper, disk: Disk | None = None) -> AsyncIterator[Tunnel]:
    """A tunnel whose interface is a socket; it is stopped at the end."""
    lasting = await Lasting.load(disk) if disk is not None else None
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with kernel:
        stub = cast(HelperClient, helper)
        interface = Interface(stub, TunDevice(ours.detach()), "mlvpn0", 1428)
        tunnel = Tunnel(config, stub, interface, plane=planes.plane(), lasting=lasting)
        tunnel.start()
        await tunnel.wait_tried()
        await asyncio.sleep(0.02)
        try:
            yield tunnel
        finally:
            await tunnel.stop(1)


def run(steps: Callable[[Tunnel, Helper, list[Peer]], Awaitable[None]]) -> list[str]:
    """Takes steps with a running server and its peers, and stops it; returns what the helper was asked, in order."""

    async def main() -> list[str]:
        helper = Helper()
        links = tuple(LinkConfig(name, bindhost="127.0.0.1", bindport="0") for name in LINKS)
        async with running(Config(Mode.SERVER, b"x", links=links), helper) as tunnel:
            peers = [Peer(tunnel, number) for number in range(len(LINKS))]
            await steps(tunnel, helper, peers)
            for peer in peers:
                peer.close()
        return helper.asked

    return planes.run(main())


async def both_up(_tunnel: Tunnel, _helper: Helper, peers: list[Peer]) -> None:
    for peer in peers:
        peer.send(*peer.hand.joins())
        await asyncio.sleep(0.02)


def test_the_scripts_come_in_upstreams_order() -> None:
    """The interface's scripts come after the link's, when the first link goes up, and when the last goes down."""
    assert run(both_up) == [
        "rtun_up adsl1",
        "tuntap_up",
        "rtun_up adsl2",
        "rtun_down adsl1",
        "rtun_down adsl2",
        "tuntap_down",
    ]


def test_a_link_that_comes_and_goes_in_one_burst_leaves_no_script_without_its_opposite() -> None:
    async def steps(tunnel: Tunnel, helper: Helper, peers: list[Peer]) -> None:
        peers[0].send(*peers[0].hand.joins(), peers[0].hand.disconnect())
        await asyncio.sleep(0.02)
        assert helper.asked == []
        await both_up(tunnel, helper, peers[:1])
        assert helper.asked == ["rtun_up adsl1", "tuntap_up"]
        peers[0].send(peers[0].hand.disconnect(), *peers[0].hand.joins())
        await asyncio.sleep(0.02)
        assert helper.asked == ["rtun_up adsl1", "tuntap_up"]

    assert run(steps)[2:] == ["rtun_down adsl1", "tuntap_down"]


def test_a_script_is_told_the_mtu_that_fits_an_ipv6_path() -> None:
    """A client learns the family with its first link; the helper must be asked for the MTU before the script runs."""

    async def main() -> list[str]:
        helper = Helper()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as server:
            server.bind(("::1", 0))
            link = LinkConfig("adsl1", remotehost="::1", remoteport=str(server.getsockname()[1]))
            async with running(Config(Mode.CLIENT, b"x", links=(link,)), helper):
                _, client = await loop.sock_recvfrom(server, 100)
                await loop.sock_sendto(server, HandPeer(key=derive_key(b"x")).auth_ok(), client)
                await asyncio.sleep(0.02)
        return helper.asked

    assert planes.run(main())[:3] == ["configure ipv6_path=True", "rtun_up adsl1", "tuntap_up"]


def test_a_link_that_was_taken_out_of_the_file_comes_back_as_another() -> None:
    async def steps(tunnel: Tunnel, _helper: Helper, _peers: list[Peer]) -> None:
        whole = tunnel.config
        for name in LINKS:
            tunnel.set_enabled(name, enabled=False)
        tunnel.apply(dataclasses.replace(whole, links=whole.links[:1]))
        tunnel.apply(whole)
        assert [tunnel.enabled(name) for name in LINKS] == [False, True]

    run(steps)


def told_by(tunnel: Tunnel) -> list[Notice]:
    """Notices about states of links, from now on."""
    told: list[Notice] = []
    tunnel._reports.subscribe(lambda notice: told.append(notice) if isinstance(notice, LinkChanged) else None)
    return told


def test_a_disabled_link_is_so_on_every_face_and_told_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    caplog.set_level(logging.INFO, "mlvpnd")

    async def steps(tunnel: Tunnel, helper: Helper, peers: list[Peer]) -> None:
        await both_up(tunnel, helper, peers)
        for peer in peers:
            peer.received()
        told, since = told_by(tunnel), tunnel.states[0][0]
        caplog.clear()
        for _ in range(2):
            tunnel.set_enabled("adsl1", enabled=False)
        assert told == [LinkChanged("adsl1", LinkState.CONNECTED, LinkState.DISABLED, "disabled")]
        assert caplog.messages == ["adsl1 disabled: it carries nothing either way until it is enabled"]
        assert since < tunnel.states[0][0] <= time.time()
        assert tunnel.states[0][1] == "disabled"
        await asyncio.sleep(0.02)
        assert peers[0].received() == [PacketType.DISCONNECT]
        peers[0].send(*peers[0].hand.joins())
        await asyncio.sleep(0.02)
        assert peers[0].received() == []
        assert len(told) == 1
        told.clear()
        caplog.clear()
        tunnel.set_enabled("adsl1", enabled=True)
        assert told == [LinkChanged("adsl1", LinkState.DISABLED, LinkState.DISCONNECTED)]
        assert caplog.messages == ["adsl1 enabled"]
        peers[0].send(*peers[0].hand.joins())
        await asyncio.sleep(0.02)
        assert told[-1] == LinkChanged("adsl1", LinkState.DISCONNECTED, LinkState.CONNECTED)

    assert run(steps).count("rtun_down adsl1") == 2


def test_a_link_that_is_down_is_told_of_once_too_and_stays_disabled_when_its_uplink_goes() -> None:
    async def steps(tunnel: Tunnel, _helper: Helper, _peers: list[Peer]) -> None:
        told = told_by(tunnel)
        tunnel.set_enabled("adsl1", enabled=False)
        assert told == [LinkChanged("adsl1", LinkState.DISCONNECTED, LinkState.DISABLED, "disabled")]
        tunnel._lose(0, DownReason.CARRIER_LOST)
        assert tunnel.states[0][1] == "disabled"
        changed = dataclasses.replace(tunnel.config.links[0], timeout=9)
        tunnel.apply(dataclasses.replace(tunnel.config, links=(changed, *tunnel.config.links[1:])))
        assert len(told) == 1
        assert tunnel.session.path(0).parameters.enabled is False

    run(steps)


def over_stops(*lives: Callable[[Tunnel, list[Peer]], Awaitable[None]], disk: Disk | None = None) -> Disk:
    """Runs a server once for each life, with one disk."""
    kept = disk or Disk()

    async def main() -> None:
        links = tuple(LinkConfig(name, bindhost="127.0.0.1", bindport="0") for name in LINKS)
        for life in lives:
            async with running(Config(Mode.SERVER, b"x", links=links), Helper(), kept) as tunnel:
                peers = [Peer(tunnel, number) for number in range(len(LINKS))]
                await life(tunnel, peers)
                for peer in peers:
                    peer.close()

    planes.run(main())
    return kept


def test_a_disabled_link_stays_so_over_a_stop_until_it_is_enabled() -> None:
    async def disable(tunnel: Tunnel, peers: list[Peer]) -> None:
        await both_up(tunnel, Helper(), peers)
        tunnel.set_enabled("adsl1", enabled=False)

    async def enable(tunnel: Tunnel, peers: list[Peer]) -> None:
        assert [tunnel.enabled(name) for name in LINKS] == [False, True]
        assert tunnel.states[0][1] == "disabled"
        await both_up(tunnel, Helper(), peers)
        assert [path.up for path in tunnel.session.paths] == [False, True]
        tunnel.set_enabled("adsl1", enabled=True)

    async def all_are_enabled(tunnel: Tunnel, _peers: list[Peer]) -> None:
        assert [tunnel.enabled(name) for name in LINKS] == [True, True]

    over_stops(disable, enable, all_are_enabled)


def test_counters_go_on_over_a_stop_and_over_a_reload_that_restarts_a_link() -> None:
    seen: list[Counters] = []

    async def life(tunnel: Tunnel, peers: list[Peer]) -> None:
        assert tunnel.counting.total(0).sent_bytes == (seen[-1].sent_bytes if seen else 0)
        await both_up(tunnel, Helper(), peers)
        peers[0].send(peers[0].hand.data(packet_of(1)))
        await asyncio.sleep(0.02)
        before = tunnel.counting.total(0)
        assert before.received_bytes > (seen[-1].received_bytes if seen else 0)
        restarted = dataclasses.replace(tunnel.config.links[0], bindhost="127.0.0.2")
        tunnel.apply(dataclasses.replace(tunnel.config, links=(restarted, tunnel.config.links[1])))
        number = tunnel._number("adsl1")
        assert number != 0
        assert tunnel.counting.total(number) == before
        tunnel.plane.sync()
        assert tunnel.counting.total(None).received_packets == len(seen) + 1
        seen.append(before)

    over_stops(life, life)
    assert seen[1].sent_bytes >= 2 * seen[0].sent_bytes > 0
    assert [one.disconnects for one in seen] == [0, 0]  # a stop is no outage


def test_what_is_forgotten_is_so_at_once_and_after_a_stop() -> None:
    async def forget(tunnel: Tunnel, peers: list[Peer]) -> None:
        await both_up(tunnel, Helper(), peers)
        tunnel.set_enabled("adsl1", enabled=False)
        tunnel.forget()
        assert tunnel.enabled("adsl1")
        assert [tunnel.counting.total(number) for number in (0, 1, None)] == [Counters()] * 3

    async def begin(tunnel: Tunnel, _peers: list[Peer]) -> None:
        assert tunnel.enabled("adsl1")
        assert tunnel.counting.total(0) == Counters()

    over_stops(forget, begin)


def test_a_link_that_left_the_file_while_the_tunnel_was_stopped_is_forgotten() -> None:
    disk = Disk()
    disk.text = b'{"version":1,"links":{"adsl1":{"disabled":true},"gone":{"disabled":true}}}'

    async def life(tunnel: Tunnel, _peers: list[Peer]) -> None:
        assert not tunnel.enabled("adsl1")
        assert tunnel.enabled("gone")

    over_stops(life, disk=disk)
    assert "gone" not in str(disk.text)


class Names(Helper):
    """Knows one name, as long as a test says so."""

    known = True
    port = 5080

    async def resolve(self, end: str, link: str) -> list[tuple[int, object]]:
        if not self.known:
            raise MlvpndError("the name server does not answer")
        return [(socket.AF_INET, ("127.0.0.1", self.port))]


@pytest.mark.parametrize(("change", "opened"), [({"bindhost": "127.0.0.2"}, True), ({"remotehost": "b.test"}, False)])
def test_a_reload_keeps_the_addresses_of_a_name_that_cannot_be_looked_up(change: dict[str, Any], opened: bool) -> None:
    async def main() -> None:
        helper = Names()
        link = LinkConfig("adsl1", bindhost="127.0.0.1", remotehost="a.test", remoteport="5080")
        async with running(Config(Mode.CLIENT, b"x", links=(link,)), helper) as tunnel:
            helper.known = False
            tunnel.apply(dataclasses.replace(tunnel.config, links=(dataclasses.replace(link, **change),)))
            (driver,) = tunnel.drivers.values()
            await asyncio.wait_for(driver.tried.wait(), 5)
            assert (driver.socket is not None) is opened

    planes.run(main())


def test_a_cold_start_goes_on_with_the_addresses_at_which_the_server_was_last() -> None:
    async def main() -> None:
        disk, helper = Disk(), Names()
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with server:
            server.bind(("127.0.0.1", 0))
            helper.port = server.getsockname()[1]
            link = LinkConfig("adsl1", bindhost="127.0.0.1", remotehost="a.test", remoteport=str(helper.port))
            for helper.known in (True, False):
                async with running(Config(Mode.CLIENT, b"x", links=(link,)), helper, disk) as tunnel:
                    loop = asyncio.get_running_loop()
                    _, client = await asyncio.wait_for(loop.sock_recvfrom(server, 1 << 16), 5)
                    await loop.sock_sendto(server, HandPeer(key=derive_key(b"x")).auth_ok(), client)
                    async with asyncio.timeout(5):
                        while not tunnel.session.path(0).up:  # noqa: ASYNC110  (there is nothing to wait for)
                            await asyncio.sleep(0.01)
                while True:
                    try:
                        server.recv(1 << 16)
                    except BlockingIOError:
                        break
            renamed = dataclasses.replace(link, remotehost="b.test")
            async with running(Config(Mode.CLIENT, b"x", links=(renamed,)), helper, disk) as tunnel:
                assert tunnel.drivers[0].socket is None

    planes.run(main())


def test_the_time_in_which_the_process_stood_still_is_not_the_peers_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (deadlines, handshake):
        monkeypatch.setattr(module, "KEEPALIVE_INTERVAL", 0.1)
    links = tuple(LinkConfig(name, bindhost="127.0.0.1", bindport="0", timeout=1) for name in LINKS)

    async def scenario() -> None:
        async with running(Config(Mode.SERVER, b"x", links=links), Helper()) as tunnel:
            peers = [Peer(tunnel, number) for number in range(len(LINKS))]
            await both_up(tunnel, Helper(), peers)
            time.sleep(1.5)  # noqa: ASYNC251  (nothing turns meanwhile, as when the machine sleeps)
            await asyncio.sleep(0.3)
            assert all(path.up for path in tunnel.session.paths)
            # From now on, it is the peer's silence.
            await asyncio.sleep(1)
            assert not any(path.up for path in tunnel.session.paths)
            for peer in peers:
                peer.close()

    planes.run(scenario())


def test_a_link_whose_uplink_is_lost_goes_down_and_has_another_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer comes back by a new AUTH. A socket that systemd holds too stays, for its port would not be free."""

    class Uplinks:
        """Lets the test say what the kernel would."""

        lost: Callable[[int, DownReason], None]

        def __init__(self, _drivers: object, lost: Callable[[int, DownReason], None], _heard: object) -> None:
            Uplinks.lost = staticmethod(lost)

        def start(self) -> None:
            pass

        def stop(self) -> None:
            pass

    async def steps(tunnel: Tunnel, helper: Helper, peers: list[Peer]) -> None:
        await both_up(tunnel, helper, peers)
        await asyncio.sleep(MIN_TRY_INTERVAL)
        for number, held in enumerate((False, True)):
            monkeypatch.setattr(Continuity, "holds_ports", held)
            before = tunnel.drivers[number].socket
            Uplinks.lost(number, DownReason.CARRIER_LOST)
            assert not tunnel.session.path(number).up
            assert tunnel.states[number][1] == "carrier lost"
            assert (tunnel.drivers[number].socket is before) is held
            Uplinks.lost(number, DownReason.ADDRESS_GONE)  # the link is down already, and this reason came last
            assert tunnel.states[number][1] == "address gone"
        await asyncio.sleep(0.02)
        again = Peer(tunnel, 0)
        again.hand = peers[0].hand
        peers[0].close()
        peers[0] = again
        await both_up(tunnel, helper, peers)
        assert all(path.up for path in tunnel.session.paths)
        assert [reason for _, reason in tunnel.states.values()] == ["", ""]

    monkeypatch.setattr(tunnel_module, "Uplinks", Uplinks)
    told = run(steps)
    assert told[3:6] == ["rtun_down adsl1", "rtun_down adsl2", "tuntap_down"]
    assert told[6:9] == ["rtun_up adsl1", "tuntap_up", "rtun_up adsl2"]


def test_rules_reach_the_session_at_start_and_at_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[tuple[Action, tuple[int, ...]]]] = []

    def set_rules(_session: session_module.Session, rules: list[Rule]) -> None:
        given.append([(rule.action, rule.links) for rule in rules])

    monkeypatch.setattr(session_module.Session, "set_rules", set_rules)

    async def steps(tunnel: Tunnel, _helper: Helper, _peers: list[Peer]) -> None:
        assert (given, tunnel.rules) == ([[]], 0)
        rules = (
            RuleConfig(RuleAction.PREFER, ("adsl2", "adsl1"), "udp port 5060"),
            RuleConfig(RuleAction.DROP, (), "nonsense here"),
            RuleConfig(RuleAction.PIN, ("adsl2",), "tcp"),
        )
        tunnel.apply(dataclasses.replace(tunnel.config, rules=rules))
        assert given[1:] == [[(Action.PREFER, (1, 0)), (Action.PIN, (1,))]]
        assert tunnel.rules == 2
        # A link that is made anew has another number.
        restarted = dataclasses.replace(tunnel.config.links[0], binddevice="lo")
        tunnel.apply(dataclasses.replace(tunnel.config, links=(restarted, tunnel.config.links[1])))
        assert given[2:] == [[(Action.PREFER, (1, 2)), (Action.PIN, (1,))]]

    run(steps)


def test_it_is_said_at_start_and_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def said() -> list[str]:
        lines = [record.getMessage() for record in caplog.records if "bandwidth_upload" in record.getMessage()]
        caplog.clear()
        return lines

    weight = "bandwidth_upload is a weight: link adsl1 has less than 16000 bytes/s"

    async def steps(tunnel: Tunnel, _helper: Helper, _peers: list[Peer]) -> None:
        assert said() == [weight]
        faster = tuple(dataclasses.replace(link, bandwidth_upload=20000) for link in tunnel.config.links)
        tunnel.apply(dataclasses.replace(tunnel.config, links=faster))
        assert said() == ["links are paced at bandwidth_upload"]
        tunnel.apply(tunnel.config)
        assert said() == []
        tunnel.set_bandwidth_upload("adsl1", 1)
        assert said() == [weight]
        tunnel.apply(dataclasses.replace(tunnel.config, pacing=Pacing.OFF))
        assert said() == ["bandwidth_upload is a weight: pacing is off"]

    run(steps)


def test_another_data_plane_waits_for_the_next_start(caplog: pytest.LogCaptureFixture, data_plane: DataPlane) -> None:
    other = next(which for which in DataPlane if which is not data_plane)

    async def steps(tunnel: Tunnel, _helper: Helper, _peers: list[Peer]) -> None:
        wanted = dataclasses.replace(tunnel.config, data_plane=other)
        for _ in range(2):
            caplog.clear()
            tunnel.apply(wanted)
            said = "data_plane has changed: the new value takes effect at the next start"
            assert said in caplog.messages
            assert tunnel.plane.name is data_plane

    run(steps)


def test_a_new_priority_is_told_and_leaves_the_link_up(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(tunnel: Tunnel, helper: Helper, peers: list[Peer]) -> None:
        await both_up(tunnel, helper, peers)
        caplog.set_level(logging.INFO)
        first, second = tunnel.config.links
        tunnel.apply(dataclasses.replace(tunnel.config, links=(first, dataclasses.replace(second, priority=1))))
        assert "adsl2 priority changed from 0 to 1" in caplog.messages
        assert all(path.up for path in tunnel.session.paths)

    run(steps)


def test_what_was_read_from_a_link_is_delivered_before_it_goes(data_plane: DataPlane) -> None:
    async def steps(tunnel: Tunnel, helper: Helper, peers: list[Peer]) -> None:
        await both_up(tunnel, helper, peers)
        hand = peers[0].hand
        peers[0].send(hand.keepalive(), hand.data(packet_of(1)))
        await asyncio.sleep(0)  # the datagrams are read, and the loop's turn is behind this
        tunnel.apply(dataclasses.replace(tunnel.config, links=tunnel.config.links[1:]))
        tunnel.plane.sync()
        assert tunnel.interface.device.packets_written == (1 if data_plane is DataPlane.NATIVE else 0)

    run(steps)


@pytest.mark.parametrize("is_sent", [True, False])
def test_what_a_link_that_is_removed_has_not_sent_is_sent_before_its_socket_closes(
    is_sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(tunnel: Tunnel, helper: Helper, peers: list[Peer]) -> None:
        await both_up(tunnel, helper, peers)
        if not is_sent:
            monkeypatch.setattr(tunnel, "after", lambda: None)
        tunnel.apply(dataclasses.replace(tunnel.config, links=tunnel.config.links[1:]))
        assert PacketType.DISCONNECT in peers[0].received()

    run(steps)


def test_what_comes_after_the_interface_is_read_no_more_still_goes_out() -> None:
    async def steps(tunnel: Tunnel, helper: Helper, peers: list[Peer]) -> None:
        await both_up(tunnel, helper, peers)
        tunnel.interface.pause()
        peers[0].send(peers[0].hand.data(packet_of(1)))
        await asyncio.sleep(0.05)
        tunnel.plane.deliver([packet_of(2)])
        tunnel.plane.sync()
        device = tunnel.interface.device
        assert (device.packets_read, device.packets_written) == (0, 2)

    run(steps)
