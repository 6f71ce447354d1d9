"""What a running tunnel shows, read from its parts."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import cast

from mlvpnd.base.options import Options
from mlvpnd.config.model import Config, LinkConfig, Mode, RuleAction, RuleConfig
from mlvpnd.helper.client import Configured, HelperClient
from mlvpnd.net.tun import TunDevice
from mlvpnd.operator.status import LinkState
from mlvpnd.protocol.wire.box import derive_key
from mlvpnd.tunnel import snapshot
from mlvpnd.tunnel.interface import Interface
from mlvpnd.tunnel.tunnel import Tunnel
from tests.support.hand_peer import HandPeer
from tests.support.service_host import until
from tests.support.session_pair import packet_of

OPTIONS = Options(config_path="/etc/mlvpn/my.conf", name="my")


class Helper:
    """Does nothing."""

    def use_tun(self, descriptor: Callable[[], int]) -> None:
        pass

    async def tune_socket(self, link: str, sock: socket.socket) -> None:
        pass

    async def configure_tun(self, *, ipv6_path: bool, default_routes: bool) -> Configured:
        return Configured(1428)

    async def run_script(self, event: str, link: str | None) -> int:
        return 0


def link(name: str, bandwidth: int = 0, **more: object) -> LinkConfig:
    return LinkConfig(name, bindhost="127.0.0.1", bindport="0", bandwidth_upload=bandwidth, **more)  # type: ignore[arg-type]


def run(steps: Callable[[Tunnel, socket.socket], Awaitable[None]], *links: LinkConfig) -> None:
    async def main() -> None:
        ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        config = Config(Mode.SERVER, b"x", links=links, reorder_buffer_size=8)
        with kernel:
            helper = cast(HelperClient, Helper())
            tunnel = Tunnel(config, helper, Interface(helper, TunDevice(ours.detach()), "mlvpn7", 1428))
            tunnel.start()
            await tunnel.wait_tried()
            await steps(tunnel, kernel)
            await tunnel.stop(1)

    asyncio.run(main())


async def join(tunnel: Tunnel, number: int) -> tuple[socket.socket, HandPeer]:
    """A client joins a link; the link is up afterwards."""
    driver = tunnel.drivers[number]
    assert driver.socket is not None
    peer = HandPeer(0xB0 + number, key=derive_key(b"x"))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(driver.socket.local_address)
    for datagram in peer.joins():
        sock.send(datagram)
    await until(lambda: tunnel.session.path(number).up)
    return sock, peer


def test_a_tunnel_without_a_peer() -> None:
    async def steps(tunnel: Tunnel, _kernel: socket.socket) -> None:
        found = snapshot.take(tunnel, OPTIONS)
        assert (found.name, found.config_file, found.interface, found.mtu) == (
            "my",
            "/etc/mlvpn/my.conf",
            "mlvpn7",
            1428,
        )
        assert (found.state, found.mode, found.kind, found.pid) == ("down", "server", "tun", os.getpid())
        assert found.reorder.size == 8
        assert (found.mss_ipv4, found.mss_ipv6) == (1388, 1368)
        assert found.data_plane == "reference"
        (one,) = found.links
        assert (one.status, one.share, one.peer, one.min_rtt_ms) == (LinkState.DISCONNECTED, 0.0, "", None)
        assert one.local.startswith("127.0.0.1:")
        assert one.last_packet_at == one.state_since <= found.now
        assert one.last_packet_monotonic == 0.0

    run(steps, link("adsl1"))


def test_shares_follow_the_weights_of_what_carries() -> None:
    async def steps(tunnel: Tunnel, _kernel: socket.socket) -> None:
        sock, _ = await join(tunnel, 0)
        with sock:
            found = snapshot.take(tunnel, OPTIONS)
            assert [one.share for one in found.links] == [1.0, 0.0]
            assert found.state == "degraded"
            assert tunnel.started_at < found.state_since <= found.now
            tunnel.set_enabled("adsl2", enabled=False)
            assert snapshot.take(tunnel, OPTIONS).state == "up"  # what an operator took out of use is not missed
            tunnel.set_enabled("adsl2", enabled=True)
            sock2, _ = await join(tunnel, 1)
            with sock2:
                found = snapshot.take(tunnel, OPTIONS)
                assert [one.share for one in found.links] == [0.25, 0.75]
                assert found.state == "up"

    run(steps, link("adsl1", 1000), link("adsl2", 3000))


def test_what_was_carried_and_refused_is_counted() -> None:
    async def steps(tunnel: Tunnel, kernel: socket.socket) -> None:
        sock, peer = await join(tunnel, 0)
        with sock:
            kernel.send(packet_of(1))
            sock.send(b"x")
            sock.send(HandPeer(0xBAD, key=derive_key(b"y")).auth())
            await until(lambda: snapshot.take(tunnel, OPTIONS).links[0].drops["not_authentic"])
            await until(lambda: snapshot.take(tunnel, OPTIONS).tun_packets_read)
            found = snapshot.take(tunnel, OPTIONS)
            (one,) = found.links
            assert (found.tun_packets_read, found.tun_bytes_read) == (1, len(packet_of(1)))
            assert one.peer == f"127.0.0.1:{sock.getsockname()[1]}"
            assert one.drops["short"] == 1
            assert one.drops["not_authentic"] == 1
            assert one.drops["send_queue_full"] == one.drops["send_error"] == 0
            assert one.received_packets >= 1
            assert one.sent_packets >= 2
            assert abs(one.last_packet_at - found.now) < 5
            assert (one.offload.gso, one.offload.gro) == (True, True)
            assert found.tun_drops == {"down": 0, "full": 0, "refused": 0, "malformed": 0}
            assert not found.tun_offload.tso  # a socket pair has no offloads


def test_what_went_in_runs_is_counted() -> None:
    async def steps(tunnel: Tunnel, _kernel: socket.socket) -> None:
        sock, _ = await join(tunnel, 0)
        with sock:
            ours = tunnel.drivers[0].socket
            assert ours is not None
            before = snapshot.take(tunnel, OPTIONS).links[0].offload  # the handshake may have gone in a run
            ours.send_batch([b"x" * 100] * 5, sock.getsockname())
            sock.sendmsg([b"y" * 100] * 4, [(socket.IPPROTO_UDP, 103, struct.pack("=H", 100))])  # UDP_SEGMENT
            await until(lambda: snapshot.take(tunnel, OPTIONS).links[0].offload.gro_receives > before.gro_receives)
            found = snapshot.take(tunnel, OPTIONS).links[0].offload
            sent = found.gso_sends - before.gso_sends, found.gso_segments - before.gso_segments
            came = found.gro_receives - before.gro_receives, found.gro_segments - before.gro_segments
            assert (sent, came) == ((1, 5), (1, 4))

    run(steps, link("adsl1"))

    run(steps, link("adsl1"))


def test_pacing_rules_and_priorities() -> None:
    async def steps(tunnel: Tunnel, _kernel: socket.socket) -> None:
        found = snapshot.take(tunnel, OPTIONS)
        assert (found.paced, found.rules) == (True, 0)
        assert [one.priority for one in found.links] == [0, 2]
        tunnel.set_bandwidth_upload("adsl2", 100)
        assert not snapshot.take(tunnel, OPTIONS).paced
        rules = tuple(RuleConfig(RuleAction.DROP, (), text) for text in ("udp port 1900", "udp pot 1900"))
        tunnel.apply(dataclasses.replace(tunnel.config, rules=rules))
        found = snapshot.take(tunnel, OPTIONS)
        assert (found.paced, found.rules) == (True, 1)

    run(steps, link("adsl1", 16000), link("adsl2", 32000, priority=2))


def test_links_are_in_the_files_order_also_after_a_restart() -> None:
    async def steps(tunnel: Tunnel, _kernel: socket.socket) -> None:
        changed = link("adsl1", timeout=9)
        tunnel.apply(Config(Mode.SERVER, b"x", links=(link("new"), changed, link("adsl2"))))
        found = snapshot.take(tunnel, OPTIONS)
        assert [one.name for one in found.links] == ["new", "adsl1", "adsl2"]
        assert found.links[1].timeout == 9
        assert found.reorder.size == 0

    run(steps, link("adsl1"), link("adsl2"))


def test_a_disabled_link_and_one_that_cannot_open_say_so() -> None:
    async def steps(tunnel: Tunnel, _kernel: socket.socket) -> None:
        tunnel.set_enabled("adsl1", enabled=False)
        await asyncio.sleep(0.05)
        one, other = snapshot.take(tunnel, OPTIONS).links
        assert (one.enabled, one.status, one.reason) == (False, LinkState.DISABLED, "disabled")
        assert other.enabled
        assert "bind error" in other.reason
        assert other.last_error == other.reason
        assert other.local == ""

    run(steps, link("adsl1"), LinkConfig("adsl2", bindhost="192.0.2.1", bindport="5"))
