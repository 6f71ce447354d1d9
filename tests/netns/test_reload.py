"""SIGHUP: unchanged parts of the file are not touched, changes take effect, and a wrong file changes nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

import pytest

from tests.support.daemons import Daemon, process_status
from tests.support.lab import Lab, Line, wait_until
from tests.support.noise import Stopwatch
from tests.support.traffic import UdpStream, ping, wait_for_answer
from tests.support.tunnels import CLIENT_INNER_IPV4, SERVER_INNER_IPV4, Keys, Tunnel, TunnelSpec, running_tunnel

pytestmark = pytest.mark.netns

LINES = [Line(rate=50, delay=5), Line(rate=30, delay=10)]


def reload(tunnel: Tunnel, *ends: str, general: Keys | None = None, links: Mapping[str, Keys] | None = None) -> None:
    """Gives the named ends, or both, files with other keys, and waits until they have read them."""
    for end in ends or ("server", "client"):
        reload_with(getattr(tunnel, end), tunnel.config(end, general=general, links=links))


def reload_with(daemon: Daemon, config: str | None = None) -> str:
    """Makes the daemon read its file, or a new one; returns what it logged."""
    position = len(daemon.log())
    if config is not None:
        daemon.write_config(config)
    daemon.reload()
    daemon.wait_for_log("reload (SIGHUP)", since=position)
    daemon.status()
    time.sleep(0.1)
    return daemon.log()[position:]


def disconnects(tunnel: Tunnel) -> dict[str, int]:
    """How often each link was down, on both ends together."""
    ends = (tunnel.client.links(), tunnel.server.links())
    return {name: sum(links[name]["disconnects"] for links in ends if name in links) for name in ends[0]}


def test_links_that_did_not_change_lose_no_packet() -> None:
    with Lab([*LINES, Line(rate=30, delay=5)]) as lab:
        # At first the third line is not used.
        tunnel = Tunnel(lab, TunnelSpec())
        three = {end: getattr(tunnel, end).config_path.read_text() for end in ("server", "client")}
        two = {end: text[: text.index("[link3]")] for end, text in three.items()}
        for end, text in two.items():
            getattr(tunnel, end).write_config(text)
        tunnel.start()
        streams = [
            UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=3.5, rate=200),
            UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=3.5, rate=200),
        ]
        time.sleep(0.5)
        # Nothing changed.
        for end in ("server", "client"):
            reload_with(getattr(tunnel, end))
        # One more link.
        for end in ("server", "client"):
            assert "link3 tunnel added" in reload_with(getattr(tunnel, end), three[end])
        tunnel.wait_up("link3")
        # Changes to a link that is up.
        links = {
            name: {"bandwidth_upload": 1_000_000, "timeout": 9, "loss_tolerence": 40} for name in ("link1", "link3")
        }
        reload(tunnel, links=links, general={"reorder_buffer_size": 64, "timeout": 7})
        for daemon in (tunnel.server, tunnel.client):
            assert [daemon.links()[name]["timeout"] for name in ("link1", "link2", "link3")] == [9, 7, 9]
            assert "link1 timeout changed from 2 to 9" in daemon.log()
            assert "reorder_buffer_size changed from 512 to 64" in daemon.log()
            assert daemon.links()["link1"]["bandwidth"] == 1_000_000
        for stream in streams:
            result = stream.wait()
            assert (result.lost, result.duplicates, result.wrong) == (0, 0, 0)
            assert result.own_gap < 1.5
        # One link less: the peer is told. It loses what it sent into the closed socket before.
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=1.5, rate=200)
        reload_with(tunnel.client, two["client"])
        tunnel.server.wait_for_log("link3 disconnect received", timeout=1)
        assert "link3" not in tunnel.client.links()
        assert "link3 tunnel removed" in reload_with(tunnel.server, two["server"])
        result = stream.wait()
        assert (result.duplicates, result.wrong) == (0, 0)
        assert result.lost < 10
        assert disconnects(tunnel) == {"link1": 0, "link2": 0}
        tunnel.stop()


def test_a_changed_link_restarts_alone() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        # The server goes first. The client finds the new port only when its own file names it.
        position = len(tunnel.client.log())
        reload(tunnel, "server", links={"link2": {"bindport": 5099}})
        tunnel.client.wait_for_log("link2 disconnect received", since=position, timeout=1)
        reload(tunnel, "client", links={"link2": {"remoteport": 5099}})
        assert "link2 restart for configuration reload" in tunnel.client.log()
        reloaded = Stopwatch()
        tunnel.wait_up()
        assert reloaded.own < 2
        assert tunnel.server.links()["link2"]["bindport"] == "5099"
        assert tunnel.client.links()["link1"]["disconnects"] == tunnel.server.links()["link1"]["disconnects"] == 0
        assert ping(lab.client, SERVER_INNER_IPV4, count=10).received == 10
        # Another link can take the freed port.
        swapped: dict[str, Keys] = {"link1": {"bindport": 5099}, "link2": {"bindport": 5080}}
        reload(tunnel, "server", links=swapped)
        reload(tunnel, "client", links={"link1": {"remoteport": 5099}, "link2": {"remoteport": 5080}})
        tunnel.wait_up()
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 2


def test_the_password_the_buffer_the_filters_and_the_interface_change() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=4, rate=200)
        reload(tunnel, general={"password": "another one"})
        for daemon in (tunnel.server, tunnel.client):
            assert "new password set" in daemon.log()
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 1
        keys: dict[str, object] = {"password": "another one"}
        for size in (0, 100, 1):
            reload(tunnel, general=keys | {"reorder_buffer_size": size})
            assert tunnel.client.status()["reorder"]["size"] == size
            assert ping(lab.client, SERVER_INNER_IPV4, count=5, interval=0.01).received == 5
        # Filters.
        for name in ("link1", "link2"):
            filters = f'\n[filters]\n{name} = "icmp"\n'
            reload_with(tunnel.client, tunnel.config("client", general=keys) + filters)
            before = tunnel.client.links()
            assert ping(lab.client, SERVER_INNER_IPV4, count=20, size=1000, interval=0.01).received == 20
            sent = {
                link: status["sentbytes"] - before[link]["sentbytes"] for link, status in tunnel.client.links().items()
            }
            other = {"link1": "link2", "link2": "link1"}[name]
            assert sent[name] > 20_000 > 2000 > sent[other]
        # Settings of the interface that the helper makes.
        keys |= {"mtu": 1300, "ip4": "10.42.0.3/24", "ip4_routes": "192.0.2.0/24"}
        reload(tunnel, "client", general=keys)

        def shows(command: str, *texts: str) -> bool:
            return wait_until(lambda: all(text in lab.client.run("ip", *command.split()) for text in texts), 3)

        assert shows("addr show mlvpn0", "mtu 1300", "10.42.0.3/24")
        assert shows("route", "192.0.2.0/24 dev mlvpn0")
        assert CLIENT_INNER_IPV4 not in lab.client.run("ip", "addr")
        assert tunnel.client.status()["tuntap"]["mtu"] == 1300
        del keys["mtu"], keys["ip4"], keys["ip4_routes"]
        reload(tunnel, "client", general=keys)
        assert shows("addr show mlvpn0", "mtu 1428", f"{CLIENT_INNER_IPV4}/24")
        assert "192.0.2.0/24" not in lab.client.run("ip", "route")
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 1
        assert stream.wait().duplicates == 0
        assert disconnects(tunnel) == {"link1": 0, "link2": 0}


def test_a_wrong_file_changes_nothing() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        client = tunnel.client
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=4, rate=200)
        good = client.config_path.read_text()
        remoteport = next(line for line in good.splitlines() if line.startswith("remoteport"))
        before = client.status()
        wrong = f'{good.replace(remoteport, "")}\n[link3]\nremotehost = "a b"\nremoteport = 1\n'
        said = reload_with(client, wrong)
        path = client.config_path
        assert (
            f"{path}:{1 + wrong.splitlines().index('[link1]')}: remoteport: [link1] No remote port specified." in said
        )
        assert f"{path}:{len(wrong.splitlines()) - 1}: remotehost: 'a b' has white space" in said
        assert "reload failed" in said
        # The file cannot be read.
        client.config_path.chmod(0o644)
        assert "file is group/other accessible" in (said := reload_with(client))
        assert "reload failed" in said
        client.config_path.unlink()
        assert "unable to open file: No such file or directory" in (said := reload_with(client))
        assert "reload failed" in said
        # Names, scripts and sockets of the running tunnel do not need the file.
        lab.line(1).set(up=False)
        client.wait_links("down", "link1", timeout=4)
        lab.line(1).set(up=True)
        tunnel.wait_up()
        # Nothing of the wrong file was applied. The next good file is applied.
        after = client.status()
        assert after["last_reload"] == before["last_reload"]
        assert [link["name"] for link in after["tunnels"]] == [link["name"] for link in before["tunnels"]]
        assert client.links()["link2"]["disconnects"] == 0
        assert "reload failed" not in reload_with(client, good.replace('timeout = "2"', 'timeout = "5"'))
        assert client.links()["link1"]["timeout"] == 5
        assert stream.wait().duplicates == 0


def test_what_needs_a_restart_says_so() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        other = "native" if tunnel.client.status()["data_plane"] == "reference" else "reference"
        said = reload_with(
            tunnel.client,
            tunnel.config("client", general={"interface_name": "other0", "tuntap": "tap", "data_plane": other}),
        )
        for key in ("interface_name", "tuntap", "data_plane"):
            assert f"{key} has changed: the new value takes effect at the next start" in said
        assert tunnel.client.status()["tuntap"]["name"] == "mlvpn0"
        assert ping(lab.client, SERVER_INNER_IPV4, count=5).received == 5
        assert disconnects(tunnel) == {"link1": 0, "link2": 0}


def test_client_and_server_change_roles() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        for daemon, mode in ((tunnel.client, "server"), (tunnel.server, "client")):
            text = daemon.config_path.read_text()
            text = text.replace(f'mode = "{daemon.name}"', f'mode = "{mode}"')
            for number in (1, 2):
                end = lab.line(number).client
                if mode == "server":
                    text = text.replace(f'bindhost = "{end.ipv4}"', f'bindhost = "{end.ipv4}"\nbindport = "6000"')
                else:
                    text = text.replace(
                        f"[link{number}]", f'[link{number}]\nremotehost = "{end.ipv4}"\nremoteport = "6000"'
                    )
            assert "link1 restart for configuration reload" in reload_with(daemon, text)
        tunnel.wait_up()
        assert {link["mode"] for link in tunnel.client.links().values()} == {"server"}
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 1


def test_signals() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        client = tunnel.client
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=4, rate=200)

        def reloads_after(*pids: int) -> int:
            position = len(client.log())
            for pid in pids:
                os.kill(pid, signal.SIGHUP)
            client.wait_for_log("reload (SIGHUP)", since=position)
            time.sleep(0.5)
            return client.log()[position:].count("reload (SIGHUP)")

        # As `kill -HUP $(pidof mlvpn)` and `pkill -HUP mlvpn` do.
        assert reloads_after(client.pid) == 1
        assert reloads_after(client.child_pid) == 1
        assert reloads_after(client.pid, client.child_pid) == 1
        assert reloads_after(client.child_pid, client.pid) == 1
        assert 1 <= reloads_after(*[client.pid, client.child_pid] * 50) < 10
        result = stream.wait()
        assert (result.lost, result.duplicates) == (0, 0)
        assert disconnects(tunnel) == {"link1": 0, "link2": 0}


@pytest.mark.parametrize("delay", [0.0, 0.2, 0.4])
def test_a_reload_while_it_starts(delay: float) -> None:
    def is_ready(pid: int) -> bool:
        return bool(int(process_status(pid)["SigBlk"], 16) >> (signal.SIGHUP - 1) & 1)

    with Lab(LINES) as lab:
        tunnel = Tunnel(lab, TunnelSpec())
        tunnel.server.start()
        client = tunnel.client
        client.start()
        assert wait_until(lambda: is_ready(client.pid), 5)
        time.sleep(delay)
        client.write_config(tunnel.config("client", general={"timeout": 5}))
        client.reload()
        tunnel.wait_up()
        assert wait_until(lambda: client.links()["link1"]["timeout"] == 5, 2)
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 1
        assert client.log().count("link1 authenticated") == 1
        tunnel.stop()
