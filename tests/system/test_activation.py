"""A server whose ports systemd opens. Its first datagram starts it, and a restart keeps its sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lab import SERVER_IPV4, wait_until
from tests.support.services import INSTANCE, UNIT, ServiceTunnel
from tests.support.traffic import TcpTransfer
from tests.support.tunnels import SERVER_INNER_IPV4

SOCKET = f"mlvpn@{INSTANCE}.socket"


@pytest.fixture
def activated(tunnel: ServiceTunnel) -> Iterator[ServiceTunnel]:
    """The server's sockets belong to systemd. The client's first datagram has started the server."""
    server = tunnel.server
    server.ctl("stop")
    server.node.run("systemctl", "start", SOCKET)
    assert wait_until(lambda: server.state == "active", 15)
    tunnel.wait_up()
    yield tunnel
    server.node.run("systemctl", "stop", SOCKET, UNIT)


def _ports(tunnel: ServiceTunnel) -> str:
    """The server's UDP sockets. Each one appears once, whatever processes hold it."""
    return tunnel.server.node.run("ss", "--udp", "--listening", "--numeric", "--no-header", "--extended")


def test_the_first_datagram_starts_the_server(activated: ServiceTunnel) -> None:
    assert activated.ping() == 3
    listening = [line.split()[3] for line in _ports(activated).splitlines()]
    assert sorted(listening) == ["198.19.0.1:5080", "198.19.0.1:5081"]
    memory = activated.server.node.run("ss", "--udp", "--listening", "--numeric", "--no-header", "--memory")
    assert memory.count("rb8388608") == 2  # 4 MiB, which the kernel doubles


def test_a_restart_on_inherited_sockets(activated: ServiceTunnel) -> None:
    server = activated.server
    before, ports = server.interface(), _inodes(_ports(activated))
    transfer = activated.download(5)
    for _ in transfer.watch(2):
        pass
    server.ctl("restart")
    result = transfer.wait()
    assert result.verified
    assert result.own_gap <= 1
    activated.wait_up()
    assert server.interface() == before
    assert _inodes(_ports(activated)) == ports


def test_links_that_were_down_come_back_on_the_same_sockets(activated: ServiceTunnel) -> None:
    server, ports = activated.server, _inodes(_ports(activated))
    for line in activated.lab.lines:
        line.set(up=False)
    try:
        server.wait_links(*activated.links, mark="!")
    finally:
        for line in activated.lab.lines:
            line.set(up=True)
    activated.wait_up(5)
    assert _inodes(_ports(activated)) == ports


def test_a_link_that_could_not_send_comes_back_on_the_same_socket(activated: ServiceTunnel) -> None:
    server, ports = activated.server, _inodes(_ports(activated))
    route = "unreachable 198.18.1.2/32"
    activated.lab.server.ip(f"route add {route}")
    try:
        server.wait_links(activated.links[0], mark="!", timeout=5)
        assert "write error: " in server.log()
        assert activated.ping() == 3  # by the other link
    finally:
        activated.lab.server.ip(f"route del {route}")
    activated.wait_up(5)
    assert _inodes(_ports(activated)) == ports


@pytest.mark.parametrize("data_plane", [None, "reference"], ids=["default", "reference"])
def test_a_socket_unit_with_timestamps_keeps_its_bulk(tunnel: ServiceTunnel, data_plane: str | None) -> None:
    """Time stamps come before the mark of a run. Runs come because the first line's way to the server is a veth pair.

    The default is the native twin on the release for whose Python it is built, and the reference on the other one.
    """
    server, hosts = tunnel.server, (tunnel.lab.server, tunnel.lab.client)
    drop_in = f"/etc/systemd/system/{SOCKET}.d/timestamps.conf"
    hosts[0].ip(f"link add direct type veth peer name direct netns {hosts[1].name}")
    try:
        for number, host in enumerate(hosts, start=1):
            host.ip("link set direct up", f"addr add 198.18.200.{number}/24 dev direct")
        hosts[1].ip(f"route add {SERVER_IPV4}/32 via 198.18.200.1 dev direct table 101")
        tunnel.ensure_up({"data_plane": data_plane, "pacing": "off"})
        server.ctl("stop")
        server.node.write(drop_in, "[Socket]\nTimestamping=us\n")
        server.node.run("systemctl", "daemon-reload")
        server.node.run("systemctl", "start", SOCKET)
        assert wait_until(lambda: server.state == "active", 15)
        tunnel.wait_up()
        assert tunnel.ping() == 3
        result = TcpTransfer(hosts[1], hosts[0], SERVER_INNER_IPV4, size=4_000_000).wait(30)
        assert result.verified, result.error
    finally:
        hosts[0].ip("link del direct")
        server.node.run("systemctl", "stop", SOCKET, UNIT)
        server.node.run("rm", "-rf", drop_in.rpartition("/")[0])
        server.node.run("systemctl", "daemon-reload")


def _inodes(text: str) -> list[str]:
    return sorted(word for word in text.split() if word.startswith("ino:"))
