"""What outlasts a stop of tunnels that run by hand, where the daemon is in a chroot and the parent keeps the file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.support.daemons import MLVPN, Daemon
from tests.support.lab import SERVER_IPV4, Lab, Line, wait_until
from tests.support.tunnels import Tunnel, TunnelSpec, running_tunnel

from .test_recovery import set_names

LINES = (Line(rate=20), Line(rate=20))
FULL = "mount -t tmpfs -o size=8k full {directory} && head -c 8k /dev/zero >{directory}/other; exec {program} $0 $@"


def file_of(daemon: Daemon) -> Path:
    (found,) = daemon.state_directory.glob(f"{daemon.config_path.name}-*.json")
    return found


def kept(daemon: Daemon) -> dict[str, Any]:
    document = json.loads(file_of(daemon).read_text())
    assert isinstance(document, dict)
    return document


def test_counters_go_on_and_each_tunnel_has_its_file() -> None:
    with Lab(LINES) as lab:
        tunnel = Tunnel(lab, TunnelSpec())
        tunnel.client.state_directory = tunnel.server.state_directory
        totals = []
        for _ in range(2):
            tunnel.start()
            assert tunnel.client.host.run("ping", "-c", "20", "-i", "0.02", "-q", "10.42.0.1")
            totals.append(tunnel.client.links()["link1"]["sentbytes"])
            tunnel.stop()
        assert totals[1] > 1.5 * totals[0] > 0
        for daemon in (tunnel.client, tunnel.server):
            assert kept(daemon)["links"].keys() == {"link1", "link2"}
            assert file_of(daemon).stat().st_uid == 0
        assert file_of(tunnel.client) != file_of(tunnel.server)
        assert kept(tunnel.client)["links"]["link1"]["counters"]["disconnects"] == 0  # its stop is no outage


def test_a_link_that_the_file_has_disabled_brings_nothing_and_the_peer_stays_down() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        for end, other in ((tunnel.client, tunnel.server), (tunnel.server, tunnel.client)):
            end.stop()
            document = kept(end)
            document["links"]["link1"]["disabled"] = True
            file_of(end).write_text(json.dumps(document))
            end.start()
            tunnel.wait_up("link2")
            end.wait_for_log("link1 stays disabled until it is enabled")
            time.sleep(1)
            before = other.links()["link1"]["recvbytes"]
            assert tunnel.client.host.run("ping", "-c", "50", "-i", "0.02", "-q", "10.42.0.1")
            assert end.links()["link1"]["status"] == "disabled"
            assert other.links()["link1"]["up"] is False
            assert other.links()["link1"]["recvbytes"] == before
            end.stop()
            del document["links"]["link1"]["disabled"]
            file_of(end).write_text(json.dumps(document))
            end.start()
            tunnel.wait_up()


def test_a_name_that_cannot_be_looked_up_any_more_does_not_keep_a_cold_start_down() -> None:
    with Lab(LINES) as lab:
        set_names(lab, {"vpn.test": [SERVER_IPV4]})
        spec = TunnelSpec(client_links={name: {"remotehost": "vpn.test"} for name in ("link1", "link2")})
        with running_tunnel(lab, spec) as tunnel:
            tunnel.client.stop()
            set_names(lab, {})
            at = len(tunnel.client.log())
            tunnel.client.start()
            tunnel.wait_up()
            log = tunnel.client.log()[at:]
            for name in ("link1", "link2"):
                assert log.count(f"{name} getaddrinfo(vpn.test") == 1
            assert log.count(f"(using the addresses of {time.strftime('%Y-%m-%d')}") == 2


def test_a_full_disk_is_told_once_and_the_tunnel_runs() -> None:
    with Lab(LINES) as lab:
        tunnel = Tunnel(lab, TunnelSpec())
        tunnel.client.state_directory.mkdir()
        script = FULL.format(directory=tunnel.client.state_directory, program=MLVPN)
        tunnel.client.program = ("sh", "-c", script)
        tunnel.start()
        assert tunnel.client.host.run("ping", "-c", "3", "-i", "0.2", "-q", "10.42.0.1")
        tunnel.stop()
        assert tunnel.client.log().count("No space left on device") == 1
        assert list(tunnel.client.state_directory.iterdir()) == []


def test_files_of_a_newer_version_and_broken_ones() -> None:
    with Lab(LINES) as lab:
        tunnel = Tunnel(lab, TunnelSpec())
        tunnel.start()
        tunnel.stop()
        for text, said, stays in (('{"version": 2}', "is of a newer version", True), ("{", "is broken", False)):
            file_of(tunnel.client).write_text(text)
            at = len(tunnel.client.log())
            tunnel.start()
            tunnel.stop()
            assert tunnel.client.log()[at:].count(said) == 1
            assert (file_of(tunnel.client).read_text() == text) is stays


def test_a_kill_leaves_a_whole_file() -> None:
    with Lab(LINES) as lab:
        tunnel = Tunnel(lab, TunnelSpec())
        tunnel.start()
        tunnel.client.stop()
        before = kept(tunnel.client)
        tunnel.client.start()
        tunnel.wait_up()
        tunnel.client.kill()
        assert kept(tunnel.client) == before
        tunnel.client.start()
        tunnel.wait_up()
        assert wait_until(lambda: "broken" not in tunnel.client.log(), 1)
        tunnel.stop()
