"""The status command of real daemons: what runs when, and that nothing waits for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.lab import Lab, Line, wait_until
from tests.support.noise import Stopwatch
from tests.support.traffic import UdpStream
from tests.support.tunnels import CLIENT_INNER_IPV4, Tunnel, TunnelSpec, running_tunnel

pytestmark = pytest.mark.netns

LINES = [Line(rate=20, delay=5), Line(rate=20, delay=5)]


def write_script(lab: Lab, text: str, *, mode: int = 0o700) -> Path:
    """Writes a status command for the client, in place of the one before."""
    path = lab.directory / "command"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def events(lab: Lab) -> list[str]:
    """The lines that the script has written to `seen`."""
    path = lab.directory / "seen"
    return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []


def restart_link(tunnel: Tunnel, port: int) -> None:
    """Makes the client's link go down and up again."""
    position = len(tunnel.client.log())
    tunnel.client.write_config(tunnel.config("client", links={"link1": {"bindport": port}}))
    tunnel.client.reload()
    tunnel.client.wait_for_log("link1 authenticated", since=position)


def calls(tunnel: Tunnel, end: str = "client") -> list[str]:
    """The events of the calls so far, with their link."""
    return [" ".join(arguments[1:]) for arguments, _ in tunnel.events(end)]


def wait_for_calls(tunnel: Tunnel, expected: Sequence[str]) -> None:
    wait_until(lambda: len(calls(tunnel)) >= len(expected), 5)
    assert calls(tunnel) == list(expected)


def test_events_come_in_upstreams_order() -> None:
    with Lab(LINES) as lab:
        tunnel = Tunnel(lab, TunnelSpec(scripted=True))
        # One line after the other, for a certain order.
        lab.line(2).set(up=False)
        tunnel.server.start()
        tunnel.client.start()
        expected = ["rtun_up link1", "tuntap_up"]
        wait_for_calls(tunnel, expected)
        lab.line(2).set(up=True)
        expected += ["rtun_up link2"]
        wait_for_calls(tunnel, expected)
        tunnel.wait_up()
        # A changed link restarts. The interface keeps a link meanwhile.
        tunnel.client.write_config(tunnel.config("client", links={"link2": {"bindport": 7777}}))
        tunnel.client.reload()
        expected += ["rtun_down link2", "rtun_up link2"]
        wait_for_calls(tunnel, expected)
        # Both lines at once: first the links go down, then the interface.
        for line in lab.lines:
            line.set(up=False)
        wait_until(lambda: len(calls(tunnel)) == len(expected) + 3, 5)
        assert sorted(calls(tunnel)[-3:-1]) == ["rtun_down link1", "rtun_down link2"]
        assert calls(tunnel)[-1] == "tuntap_down"
        for line in lab.lines:
            line.set(up=True)
        tunnel.wait_up()
        wait_until(lambda: len(calls(tunnel)) == len(expected) + 6, 5)
        up = calls(tunnel)[-3:]
        assert (up[0][:7], up[1], sorted((up[0], up[2]))) == (
            "rtun_up",
            "tuntap_up",
            ["rtun_up link1", "rtun_up link2"],
        )
        # A clean stop undoes everything, on the end that stops and on the other.
        tunnel.client.stop()
        for end in ("client", "server"):
            wait_until(lambda: calls(tunnel, end)[-1] == "tuntap_down", 5)  # noqa: B023
            last = calls(tunnel, end)[-3:]
            assert sorted(last[:2]) == ["rtun_down link1", "rtun_down link2"]
            assert last[2] == "tuntap_down"
        tunnel.server.stop()
        assert calls(tunnel, "server")[-1] == "tuntap_down"
        for end in ("client", "server"):
            assert all(variables["DEVICE"] == "mlvpn0" for _, variables in tunnel.events(end))
        # The daemon's own errors go only to the log.
        assert "network script" not in tunnel.client.log()


def test_nothing_waits_for_a_slow_script() -> None:
    with Lab(LINES) as lab:
        script = write_script(lab, f'echo "$2 $3" >>{lab.directory}/seen; sleep 3')
        # The script is on the server: in MLVPN, the AUTH_OK waits for the script.
        tunnel = Tunnel(lab, TunnelSpec(server={"statuscommand": script}))
        start = Stopwatch()
        tunnel.start()
        assert start.own < 2.5
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=4.5, rate=100)
        # While the script runs, links come and go, and the server does a reload.
        name, line = ("link2", lab.line(2)) if events(lab)[0].endswith("link1") else ("link1", lab.line(1))
        line.set(up=False)
        tunnel.server.wait_for_log(f"{name} timeout", timeout=4)
        line.set(up=True)
        position = len(tunnel.server.log())
        tunnel.server.reload()
        tunnel.server.wait_for_log("reload (SIGHUP)", since=position, timeout=1)
        tunnel.wait_up()
        result = stream.wait()
        assert result.own_gap < 1
        assert (result.duplicates, result.wrong) == (0, 0)
        # A link went and came back before its turn: one run stands for both.
        other = "link1" if name == "link2" else "link2"
        assert events(lab) == [f"rtun_up {other}", "tuntap_up", f"rtun_up {name}"][: len(events(lab))]
        tunnel.server.kill()
        tunnel.client.stop()


def test_a_stop_waits_for_a_script() -> None:
    with Lab(LINES[:1]) as lab:
        script = write_script(lab, f'echo "$2 $3" >>{lab.directory}/seen; sleep 0.5; echo done >>{lab.directory}/seen')
        with running_tunnel(lab, TunnelSpec(client={"statuscommand": script})) as tunnel:
            assert wait_until(lambda: len(events(lab)) == 4, 5)
            start = Stopwatch()
            tunnel.client.stop()
            assert start.own < 2
        assert events(lab)[4:] == ["rtun_down link1", "done", "tuntap_down", "done"]


def test_what_goes_wrong_with_a_script() -> None:
    with Lab(LINES[:1]) as lab:
        script = write_script(lab, 'echo "said"; echo "an error" >&2; [ "$2" = rtun_up ] && exit 3; kill -KILL $$')
        with running_tunnel(lab, TunnelSpec(client={"statuscommand": script})) as tunnel:
            client = tunnel.client
            client.wait_for_log(f"network script {script} exit status 3")
            client.wait_for_log(f"network script {script} killed by signal 9")
            for text in ("said", "an error"):
                client.wait_for_log(f"{script}: {text}")
            # Only root may be able to write the script. The log says so once, for four events.
            script.chmod(0o722)
            position = len(client.log())
            for port in (7001, 7002):
                restart_link(tunnel, port)
            said = client.log()[position:]
            assert said.count(f"{script} is group/other accessible") == 1
            assert "network script" not in said
            script.unlink()
            restart_link(tunnel, 7003)
            client.wait_for_log(f"Unable to open file {script}: No such file or directory", since=position)
            # The script is right again.
            write_script(lab, f'echo "$2" >>{lab.directory}/seen')
            restart_link(tunnel, 7004)
            # If the link is quick, nothing runs for the interface's two events. If the machine is slow, the last events
            # from before come first.
            quick, slow = ["rtun_down", "rtun_up"], ["rtun_down", "tuntap_down", "rtun_up", "tuntap_up"]
            assert wait_until(lambda: events(lab)[-2:] == quick or events(lab)[-4:] == slow, 5), events(lab)


def test_the_command_changes_with_a_reload() -> None:
    with Lab(LINES[:1]) as lab:
        tunnel = Tunnel(lab, TunnelSpec())
        tunnel.start()
        script = write_script(lab, f'echo "$2" >>{lab.directory}/seen')
        tunnel.client.write_config(tunnel.config("client", general={"statuscommand": script}))
        tunnel.client.reload()
        tunnel.client.wait_for_log("reload (SIGHUP)")
        time.sleep(0.3)
        tunnel.stop()
        assert events(lab) == ["rtun_down", "tuntap_down"]
