"""The daemon as a service: what it says to systemd, and what the next process goes on with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlvpnd import continuity, proctitle
from mlvpnd import daemon as daemon_module
from mlvpnd.bus import manager
from mlvpnd.config.problems import ConfigError
from mlvpnd.control_plane import ConfigUnreadable, LinkPropertiesChanged, NoSuchLink, Notice, Reloaded, TunnelChanged
from mlvpnd.daemon import Daemon
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import HelperError, TunDescriptor
from mlvpnd.keeper import Keeper
from mlvpnd.options import Options
from mlvpnd.scapy_layer import AUTH, DISCONNECT
from mlvpnd.service import ServiceHelper, listen
from mlvpnd.status import LinkState
from tests.support import planes
from tests.support.fd_store import Store
from tests.support.peer import ScapyPeer, udp_socket
from tests.support.session_pair import packet_of

LIMIT = 5.0
"""Seconds for anything to happen."""
CONFIG = """[general]
mode = "client"
interface_name = "{interface}"
{more}
[adsl1]
bindhost = "{bindhost}"
remotehost = "127.0.0.1"
remoteport = {port}
bandwidth_upload = 1000
"""


class Helper(ServiceHelper):
    """The helper, but for the interface, which is a socket, and the file, which is the test's."""

    def __init__(self, port: int, tun: socket.socket) -> None:
        super().__init__("test")
        self.port = port
        self.interface = "mlvpn0"
        self.more = ""
        self.bindhost = "127.0.0.1"
        self.broken: HelperError | None = None
        self.asked: list[str] = []
        self._tun_end = tun

    async def open_config(self) -> bytes:
        if self.broken:
            raise self.broken
        keys = {"interface": self.interface, "more": self.more, "port": self.port, "bindhost": self.bindhost}
        return CONFIG.format(**keys).encode()

    async def open_tun(self) -> TunDescriptor:
        self.asked.append("open_tun")
        return TunDescriptor(os.dup(self._tun_end.fileno()), self.interface, 1428)

    async def configure_tun(self, *, ipv6_path: bool) -> int:
        if self.broken:
            raise self.broken
        return 1428

    async def tune_socket(self, link: str, sock: socket.socket) -> None:
        pass

    async def run_script(self, event: str, link: str | None) -> int:
        self.asked.append(event)
        return 0


class Host:
    """A host on which daemons run one after the other, with systemd's store, an interface and a peer."""

    def __init__(self, directory: Path) -> None:
        self.runtime = directory / "test"
        self.runtime.mkdir()
        self.store = Store()
        self.peer = ScapyPeer(udp_socket(("127.0.0.1", 0)), b"x", server=True)
        self.tun, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.restarting = False
        self.helper = self.new_helper()

    def new_helper(self) -> Helper:
        self.helper = Helper(self.peer.address[1], self.tun)
        return self.helper

    @contextlib.asynccontextmanager
    async def running(self, *, password: bytes | None = b"x", **descriptors: int) -> AsyncIterator[Daemon]:
        """A daemon that has started; it is stopped by SIGTERM."""
        service = self.store.service(password=password)
        service.descriptors |= {name: [number] for name, number in descriptors.items()}
        self.helper.service = service
        daemon = Daemon(Options(config_path="f"), self.helper, None, service)
        running = asyncio.create_task(daemon.run())
        try:
            await until(lambda: any(text.startswith("READY=1") for text in self.store.said) or running.done())
            yield daemon
            os.kill(os.getpid(), signal.SIGTERM)
            assert await asyncio.wait_for(running, LIMIT) == 0
        finally:
            running.cancel()

    async def is_restarting(self, instance: str) -> bool:
        assert instance == "test"
        return self.restarting

    def words(self) -> list[str]:
        """What was said beside what concerns the store; it is forgotten."""
        found = [text for text in self.store.said if not text.startswith("FDSTORE")]
        self.store.said.clear()
        return found

    def close(self) -> None:
        self.peer.close()
        self.tun.close()
        self.kernel.close()
        self.store.__exit__(None, None, None)


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not happened():  # noqa: ASYNC110  (there is nothing to wait for)
            await asyncio.sleep(0.005)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(daemon_module, "RELOAD_DELAY", 0.01)
    monkeypatch.setattr(continuity, "SAVE_INTERVAL", 0.02)
    monkeypatch.setattr(daemon_module, "RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(proctitle, "set_title", lambda *_, **__: None)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    host = Host(tmp_path)
    monkeypatch.setattr(manager, "is_restarting", host.is_restarting)
    monkeypatch.setattr(daemon_module, "interface_of", lambda _descriptor: ("mlvpn0", False))
    monkeypatch.setattr(daemon_module, "mtu_of", lambda _name: 1234)
    yield host
    host.close()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    caplog.set_level(logging.INFO, "mlvpnd")
    return caplog


def run(steps: Coroutine[Any, Any, None]) -> None:
    planes.run(steps)


def is_up(daemon: Daemon) -> bool:
    return daemon.snapshot().links[0].status is LinkState.CONNECTED


# What systemd is told.


def test_the_words_of_a_life(host: Host) -> None:
    async def steps() -> None:
        async with host.running() as daemon:
            first = host.store.said.copy()
            with host.peer:
                await until(lambda: is_up(daemon))
                await until(lambda: "STATUS=@adsl1" in host.store.said)
        # All that must outlive the process is stored, and the links are bound, before systemd goes on.
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
        assert "interface `mlvpn0' kept from the process before" in lines.messages

    run(steps())


def test_its_mtu_is_known_also_while_the_helper_is_not_there(host: Host, lines: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        async with host.running():
            pass
        host.words()

        async def refuse(*, ipv6_path: bool) -> int:
            raise HelperError("configure-tun: helper not reached")

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
        assert any("taken up" in line and "1 of 1 links are up" in line for line in lines.messages)

    run(steps())


def test_a_plain_stop_says_goodbye(host: Host, lines: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and host.peer.up)
                await asyncio.sleep(0.1)  # it is saved while it is up
            await until(lambda: host.peer.downs == 1)
            assert host.helper.asked == ["open_tun", "rtun_up", "tuntap_up", "rtun_down", "tuntap_down"]
            # Should systemd start it again all the same, it knows that it is down.
            host.words()
            host.new_helper()
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and host.peer.ups == 2)
        assert any("taken up" in line and "0 of 1 links are up" in line for line in lines.messages)

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
            memory["paths"][0]["seq"] = None  # comes late: half is taken up by then
            keeper.save(memory)
            host.words()
            async with host.running() as daemon:
                await until(lambda: is_up(daemon))
                tunnel = daemon._tunnel
                assert tunnel is not None
                assert tunnel.session.paths[0].flow_id != flow_id
                assert flow_id not in tunnel.session.gate.own_flow_ids
        assert any("cannot be taken up: TypeError" in line for line in lines.messages)

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


# The sockets for questions.


async def ask(path: Path, line: str) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(f"{line}\n".encode())
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), LIMIT)
    writer.close()
    await writer.wait_closed()
    found = json.loads(answer)
    assert isinstance(found, dict)
    return found


def test_the_private_socket_takes_a_reload(host: Host) -> None:
    async def steps() -> None:
        async with host.running() as daemon:
            private = host.runtime / "private.sock"
            await until(private.exists)
            host.helper.more = "timeout = 7"
            assert await ask(private, "reload") == {"ok": True}
            assert daemon.snapshot().links[0].timeout == 7
            assert (await ask(private, "status"))["tunnels"][0]["name"] == "adsl1"
            host.helper.interface = "a/b"
            answer = await ask(private, "reload")
            assert "f:3:" in answer["error"]
            assert daemon.snapshot().links[0].timeout == 7

    run(steps())


STRANGER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    sock.sendall(b"reload\\n")
    print(sock.recv(4096).decode(), end="")
"""


@pytest.mark.netns
def test_the_private_socket_refuses_other_users(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(directory: str) -> None:
        os.chmod(directory, 0o755)  # noqa: S103
        os.mkdir(f"{directory}/test", 0o755)
        monkeypatch.setattr(daemon_module, "RUNTIME_DIRECTORY", directory)
        path = f"{directory}/test/private.sock"
        async with host.running() as daemon:
            told: list[Notice] = []
            daemon.subscribe(told.append)
            await until(lambda: os.path.exists(path))
            os.chmod(path, 0o666)  # noqa: S103
            stranger = await asyncio.create_subprocess_exec(
                sys.executable, "-c", STRANGER, path, stdout=asyncio.subprocess.PIPE, user=65534, group=65534
            )
            output, _ = await asyncio.wait_for(stranger.communicate(), LIMIT)
            assert json.loads(output)["denied"] is True
            assert not [one for one in told if isinstance(one, Reloaded)]

    with tempfile.TemporaryDirectory(prefix="mlvpnd-test-") as directory:
        run(steps(directory))


def test_the_control_socket_of_the_unit_is_served(host: Host) -> None:
    async def steps() -> None:
        path = host.runtime / "unit.sock"
        host.helper.more = f'control_unix_path = "{host.runtime}/other.sock"'
        async with host.running(control=listen(str(path)).detach()):
            assert (await ask(path, "status"))["tunnels"][0]["name"] == "adsl1"
            assert "error" in await ask(path, "reload")
            assert not (host.runtime / "other.sock").exists()

    run(steps())


# What an operator does.


def test_reloads_are_told_whoever_asks(host: Host) -> None:
    async def steps() -> None:
        async with host.running() as daemon:
            told: list[Notice] = []
            leave = daemon.subscribe(told.append)
            await daemon.reload()
            host.helper.interface = "a/b"
            with pytest.raises(ConfigError):
                await daemon.reload()
            host.helper.broken = HelperError("open-config: no such file")
            with pytest.raises(ConfigUnreadable, match="no such file"):
                await daemon.reload()
            reloads = [one for one in told if isinstance(one, Reloaded)]
            assert [one.ok for one in reloads] == [True, False, False]
            assert "f:3:" in reloads[1].message
            assert reloads[2].message == "open-config: no such file"
            leave()
            host.helper.broken = None

    run(steps())


def test_a_link_is_disabled_weighted_and_dropped(host: Host) -> None:
    async def steps() -> None:
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon) and host.peer.up)
                told: list[Notice] = []
                daemon.subscribe(told.append)
                daemon.set_enabled("adsl1", enabled=False)
                assert daemon.snapshot().links[0].enabled is False
                daemon.set_enabled("adsl1", enabled=True)
                assert daemon.snapshot().links[0].enabled is True
                daemon.set_bandwidth_upload("adsl1", 5000)
                assert daemon.snapshot().links[0].bandwidth_upload == 5000
                assert told.count(LinkPropertiesChanged("adsl1")) == 3
                await daemon.reload()
                assert daemon.snapshot().links[0].bandwidth_upload == 1000
                told.clear()
                daemon.reconnect("adsl1")
                assert not is_up(daemon)
                await until(lambda: is_up(daemon))
                assert TunnelChanged("up", "down") in told
                assert TunnelChanged("down", "up") in told
                assert host.peer.downs == 1
                with pytest.raises(NoSuchLink, match="no link nix"):
                    daemon.reconnect("nix")
                with pytest.raises(NoSuchLink, match="no link nix"):
                    daemon.set_enabled("nix", enabled=True)
                with pytest.raises(NoSuchLink, match="no link nix"):
                    daemon.set_bandwidth_upload("nix", 1)

    run(steps())


def test_who_asks_before_there_is_a_tunnel(host: Host) -> None:
    async def steps() -> None:
        daemon = Daemon(Options(config_path="f"), host.helper, None, None)
        with pytest.raises(MlvpndError, match="not open yet"):
            daemon.snapshot()

    run(steps())
