"""The daemon as a service: what it says to systemd, and what the next process goes on with."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlvpnd.base.options import Options
from mlvpnd.config.problems import ConfigError
from mlvpnd.daemon import run as daemon_module
from mlvpnd.daemon.run import Daemon
from mlvpnd.helper.client import Configured, HelperError
from mlvpnd.operator.status import LinkState
from mlvpnd.scapy_layer import AUTH, DISCONNECT
from mlvpnd.systemd.fd_store import Keeper
from tests.support.peer import ScapyPeer, udp_socket
from tests.support.service_host import LIMIT, Host, is_up, run, service_host, until
from tests.support.session_pair import packet_of


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with service_host(tmp_path, monkeypatch) as host:
        yield host


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    caplog.set_level(logging.INFO, "mlvpnd")
    return caplog


# What systemd is told.


def test_the_words_of_a_life(host: Host) -> None:
    async def steps() -> None:
        async with host.running() as daemon:
            first = host.store.said.copy()
            with host.peer:
                await until(lambda: is_up(daemon))
                await until(lambda: "STATUS=@adsl1" in host.store.said)
        # Before systemd goes on, the links are bound, and all that must outlive the process is stored.
        first = [text for text in first if not text.startswith("STATUS")]
        ready = next(index for index, text in enumerate(first) if text.startswith("READY"))
        assert first[:ready] == [
            "FDSTORE=1\nFDNAME=session\nFDPOLL=0",
            "FDSTORE=1\nFDNAME=tun\nFDPOLL=0",
            "FDSTORE=1\nFDNAME=link.adsl1\nFDPOLL=0",
        ]
        assert first[ready] == "READY=1\nSTATUS=!adsl1"
        assert host.words()[-1] == "STOPPING=1"

    run(steps())


@pytest.mark.parametrize("bindhost", ["192.0.2.1", "slow.invalid"], ids=["missing address", "slow name"])
def test_a_link_that_cannot_be_bound_does_not_keep_systemd_waiting(
    host: Host, monkeypatch: pytest.MonkeyPatch, bindhost: str
) -> None:
    monkeypatch.setattr(daemon_module, "BIND_PATIENCE", 0.2)

    async def look_up(end: str, link: str | None = None) -> list[tuple[int, Any]]:
        await asyncio.sleep(LIMIT)
        return []

    async def steps() -> None:
        host.helper.bindhost = bindhost
        host.helper.resolve = look_up  # type: ignore[method-assign]
        async with host.running():
            assert "FDNAME=link.adsl1" not in "".join(host.store.said)

    run(steps())


def test_a_reload_is_told_also_one_that_fails(host: Host) -> None:
    async def steps() -> None:
        async with host.running() as daemon:
            host.helper.more = "timeout = 7"
            for interface in ("mlvpn0", "a/b"):
                host.words()
                host.helper.interface = interface
                os.kill(os.getpid(), signal.SIGHUP)
                await until(lambda: any(text.startswith("READY=1") for text in host.store.said))
                begin, *rest, end = host.words()
                assert begin.startswith("RELOADING=1\nMONOTONIC_USEC=")
                assert rest == []
                assert end == "READY=1\nSTATUS=!adsl1"
                assert daemon.snapshot().links[0].timeout == 7

    run(steps())


# The interface.


def test_the_interface_of_the_process_before_is_used(host: Host, lines: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        async with host.running():
            pass
        assert host.helper.asked == ["open_tun"]
        inode = os.fstat(host.store.kept["tun"]).st_ino
        host.words()
        host.new_helper()
        async with host.running() as daemon:
            assert host.helper.asked == []
            assert daemon.snapshot().interface == "mlvpn0"
            tunnel = daemon._tunnel
            assert tunnel is not None
            assert os.fstat(tunnel.interface.device.fileno()).st_ino == inode
        assert "interface `mlvpn0' kept from the previous process" in lines.messages

    run(steps())


def test_its_mtu_is_known_also_while_the_helper_is_not_there(host: Host, lines: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        async with host.running():
            pass
        host.words()

        async def refuse(*, ipv6_path: bool, default_routes: bool = True) -> Configured:
            raise HelperError("configure-tun: the helper cannot be reached")

        host.new_helper().configure_tun = refuse  # type: ignore[method-assign]
        async with host.running() as daemon:
            assert daemon.snapshot().mtu == 1234

    run(steps())


@pytest.mark.parametrize("found", [("mlvpn1", False), ("mlvpn0", True), None], ids=["name", "tap", "gone"])
def test_another_interface_is_closed_and_given_up(
    host: Host, monkeypatch: pytest.MonkeyPatch, found: tuple[str, bool] | None
) -> None:
    def interface_of(_descriptor: int) -> tuple[str, bool]:
        if found is None:
            raise OSError(77, "File descriptor in bad state")
        return found

    async def steps() -> None:
        async with host.running():
            pass
        host.store.said.clear()
        host.new_helper()
        monkeypatch.setattr(daemon_module, "interface_of", interface_of)
        async with host.running() as daemon:
            assert host.helper.asked == ["open_tun"]
            assert daemon.snapshot().mtu == 1428
            assert [text.partition("\nFDPOLL")[0] for text in host.store.said if "=tun" in text] == [
                "FDSTOREREMOVE=1\nFDNAME=tun",
                "FDSTORE=1\nFDNAME=tun",
            ]

    run(steps())


def test_an_interface_that_was_made_again_is_the_one_that_is_kept(
    host: Host, monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture
) -> None:
    async def steps() -> None:
        async with host.running() as daemon:
            tunnel = daemon._tunnel
            assert tunnel is not None
            host.store.said.clear()
            again, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            with kernel, again:
                host.helper._tun_end = again
                tunnel.interface.lost(OSError(77, "File descriptor in bad state"))
                await until(lambda: "created interface `mlvpn0' again" in lines.messages)
                assert os.fstat(host.store.kept["tun"]).st_ino == os.fstat(again.fileno()).st_ino

    run(steps())


# What outlasts a stop.


def test_an_operators_word_and_counters_outlast_a_restart_and_a_stop(host: Host) -> None:
    file = host.state_directory / "state.json"

    async def steps() -> None:
        with host.peer:
            for host.restarting in (False, True, False):
                host.words()
                host.new_helper()
                async with host.running() as daemon:
                    while not (is_up(daemon) and host.peer.up):  # noqa: ASYNC110  (there is nothing to wait for)
                        await asyncio.sleep(0.005)
                    before = daemon.snapshot().links[0].sent_bytes
                assert json.loads(file.read_text())["links"]["adsl1"]["counters"]["sent_bytes"] >= before
            host.words()
            host.new_helper()
            async with host.running() as daemon:
                assert daemon.snapshot().links[0].sent_bytes >= before
                await until(lambda: is_up(daemon))
                daemon.set_enabled("adsl1", enabled=False)
                await until(lambda: '"disabled":true' in file.read_text())  # a file is replaced, and always there
                await until(lambda: not host.peer.up)
            for host.restarting in (True, False):
                host.words()
                host.new_helper()
                async with host.running() as daemon:
                    assert daemon.snapshot().links[0].status is LinkState.DISABLED
                    assert "STATUS=-adsl1" in "".join(host.store.said)

    run(steps())


def test_a_restart_that_finds_the_session_leaves_a_link_down_that_was_disabled_meanwhile(host: Host) -> None:
    async def steps() -> None:
        host.restarting = True
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and host.peer.up)
            host.state_directory.mkdir(exist_ok=True)
            (host.state_directory / "state.json").write_text('{"version":1,"links":{"adsl1":{"disabled":true}}}')
            host.words()
            host.new_helper()
            async with host.running() as daemon:
                assert daemon.snapshot().links[0].status is LinkState.DISABLED

    run(steps())


@pytest.mark.parametrize("text", ['{"version":2}', "broken"])
def test_a_tunnel_runs_whatever_the_state_file_is(host: Host, lines: pytest.LogCaptureFixture, text: str) -> None:
    async def steps() -> None:
        host.state_directory.mkdir()
        file = host.state_directory / "state.json"
        file.write_text(text)
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon))
        assert (file.read_text() == text) is (text != "broken")
        assert len([line for line in lines.messages if "state file" in line]) == 1

    run(steps())


# The session.


def test_a_restart_goes_unnoticed(host: Host, lines: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        host.restarting = True
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and host.peer.up)
                await until(lambda: host.helper.asked == ["open_tun", "rtun_up", "tuntap_up"])
                host.kernel.send(packet_of(1))
                await until(lambda: host.peer.packets == [packet_of(1)])
            heard = len(host.peer.received)
            host.words()
            host.new_helper()
            async with host.running() as daemon:
                assert is_up(daemon)
                assert daemon.snapshot().links[0].local.split(":")[0] == "127.0.0.1"
                host.kernel.send(packet_of(2))
                await until(lambda: host.peer.packets == [packet_of(1), packet_of(2)])
                host.peer.send_data(packet_of(3))
                found = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(host.kernel, 2000), LIMIT)
                assert found == packet_of(3)
            assert (host.peer.ups, host.peer.downs) == (1, 0)
            assert host.helper.asked == []
            after = [one for one in host.peer.received[heard:] if one.opened is not None]
            assert {one.type for one in after}.isdisjoint({AUTH, DISCONNECT})
            assert len({one.header.flow_id for one in host.peer.received}) == 1
            assert len({one.source for one in host.peer.received}) == 1
        assert any("restored" in line and "1 of 1 links are up" in line for line in lines.messages)

    run(steps())


def test_a_restart_with_another_far_end_calls_that(host: Host, lines: pytest.LogCaptureFixture) -> None:
    """The session would go on to the old address, and a reload would find nothing to do."""

    async def steps() -> None:
        host.restarting = True
        with host.peer, ScapyPeer(udp_socket(("127.0.0.1", 0)), b"x", server=True) as other:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and host.peer.up)
            host.words()
            host.new_helper().port = other.address[1]
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and other.up)
                assert daemon.snapshot().links[0].peer.endswith(f":{other.address[1]}")
        assert "adsl1 has changed in the file: the link begins anew" in lines.messages

    run(steps())


def test_a_plain_stop_says_goodbye(host: Host, lines: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and host.peer.up)
                await asyncio.sleep(0.1)  # the session is saved while the tunnel is up
            await until(lambda: host.peer.downs == 1)
            assert host.helper.asked == ["open_tun", "rtun_up", "tuntap_up", "rtun_down", "tuntap_down"]
            # If systemd starts the daemon again all the same, the daemon knows that the tunnel is down.
            host.words()
            host.new_helper()
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and host.peer.ups == 2)
        assert any("restored" in line and "0 of 1 links are up" in line for line in lines.messages)

    run(steps())


def test_a_damaged_memory_begins_afresh(host: Host, lines: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        host.restarting = True
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon))
            keeper = Keeper(host.store.service())
            found = keeper.load()
            assert found is not None
            memory = found[0]
            flow_id = memory["paths"][0]["flow_id"]
            memory["paths"][0]["seq"] = None  # the fault comes late: half of the memory is taken up by then
            keeper.save(memory)
            host.words()
            async with host.running() as daemon:
                await until(lambda: is_up(daemon))
                tunnel = daemon._tunnel
                assert tunnel is not None
                assert tunnel.session.paths[0].flow_id != flow_id
                assert flow_id not in tunnel.session.gate.flows.own
        assert any("cannot be restored: TypeError" in line for line in lines.messages)

    run(steps())


def test_a_socket_whose_link_was_down_does_not_keep_the_port(host: Host) -> None:
    async def steps() -> None:
        async with host.running():
            await until(lambda: "link.adsl1" in host.store.kept)
        host.words()
        async with host.running():
            of_link = [text.partition("\nFDPOLL")[0] for text in host.store.said if "FDNAME=link.adsl1" in text]
            assert of_link == ["FDSTOREREMOVE=1\nFDNAME=link.adsl1", "FDSTORE=1\nFDNAME=link.adsl1"]

    run(steps())


# The password.


@pytest.mark.parametrize("more", ["", 'password = "wrong"'], ids=["none in the file", "another in the file"])
def test_the_credential_is_the_password(host: Host, more: str) -> None:
    async def steps() -> None:
        host.helper.more = more
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon))
                await daemon.reload()
                assert is_up(daemon)

    run(steps())


def test_without_a_credential_the_file_must_have_one(host: Host) -> None:
    async def without() -> None:
        host.helper.service = service = host.store.service()
        with pytest.raises(ConfigError, match="password"):
            await Daemon(Options(config_path="f"), host.helper, None, service).run()

    async def with_one() -> None:
        host.helper.more = 'password = "x"'
        with host.peer:
            async with host.running(password=None) as daemon:
                await until(lambda: is_up(daemon))

    run(without())
    run(with_one())
