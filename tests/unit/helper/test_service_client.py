"""The helper behind its sockets."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlvpnd.config.model import Config, LinkConfig, Mode
from mlvpnd.helper import address
from mlvpnd.helper.client import Configured, HelperError
from mlvpnd.helper.service_client import MAX_LOOKUPS, ServiceHelper, listen
from mlvpnd.systemd import generator
from mlvpnd.systemd.given import Service
from mlvpnd.systemd.notify import Notifier
from tests.support.noise import Stopwatch


@pytest.fixture
def service() -> Service:
    return Service("test", Notifier(lambda _text, _descriptors: None))


def test_a_listening_socket_takes_the_place_of_one_that_was_left(tmp_path: Path) -> None:
    path = str(tmp_path / "private.sock")
    listen(path).close()
    with listen(path, 0o600) as sock, socket.socket(socket.AF_UNIX) as client:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert sock.gettimeout() == 0
        client.connect(path)
        sock.accept()[0].close()


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(HelperError, match="Address already in use"):
        listen(str(path))
    assert path.read_text() == "precious"
    with pytest.raises(HelperError, match="No such file or directory"):
        listen(str(tmp_path / "none" / "x.sock"))
    with pytest.raises(HelperError, match="path too long"):
        listen(str(tmp_path / ("x" * 200)))


class Role:
    """One of the helper's sockets, which answers every request with `answer` and keeps it."""

    def __init__(self, path: Path, answer: dict[str, Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = json.dumps(answer).encode()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))
        self.socket.listen()

    def serve(self) -> None:
        connection, _ = self.socket.accept()
        with connection:
            connection.setblocking(True)
            data, descriptors, _, _ = socket.recv_fds(connection, 4096, 4)
            for number in descriptors:
                os.close(number)
            self.asked.append(json.loads(data))
            connection.send(self._answer)


def run(directory: Path, steps: Callable[[ServiceHelper], Awaitable[None]]) -> None:
    async def main() -> None:
        await steps(ServiceHelper("test", str(directory)))

    asyncio.run(main())


@pytest.fixture
def roles(tmp_path: Path) -> Iterator[tuple[Role, Role]]:
    helper = Role(tmp_path / "test.sock", {"ok": True, "mtu": 1428})
    script = Role(tmp_path / "test.script", {"ok": True, "rc": 3})
    with helper.socket, script.socket:
        yield helper, script


def test_scripts_go_to_the_role_for_scripts(tmp_path: Path, roles: tuple[Role, Role]) -> None:
    async def steps(helper: ServiceHelper) -> None:
        loop = asyncio.get_running_loop()
        for role in roles:
            loop.add_reader(role.socket, role.serve)
        helper.use_tun(roles[0].socket.fileno)
        # Requests at the same time go to their own roles, too.
        found = await asyncio.gather(
            helper.run_script("rtun_up", "adsl1"),
            helper.configure_tun(ipv6_path=False),
            helper.run_script("tuntap_up", None),
        )
        assert list(found) == [3, Configured(1428), 3]
        for role in roles:
            loop.remove_reader(role.socket)

    run(tmp_path, steps)
    assert [one["op"] for one in roles[0].asked] == ["configure-tun"]
    assert [one["op"] for one in roles[1].asked] == ["run-script", "run-script"]


def test_the_script_runner_is_woken_by_a_connection(tmp_path: Path, roles: tuple[Role, Role]) -> None:
    async def steps(helper: ServiceHelper) -> None:
        helper.wake(address.Role.SCRIPT)
        roles[1].socket.settimeout(1)
        connection, _ = roles[1].socket.accept()
        with connection:
            assert connection.recv(10) == b""

    run(tmp_path, steps)


def test_a_helper_that_is_not_there(tmp_path: Path) -> None:
    async def steps(helper: ServiceHelper) -> None:
        with pytest.raises(HelperError, match="open-config: the helper cannot be reached: No such file or directory"):
            await helper.open_config()

    run(tmp_path, steps)


def test_a_silent_name_server_delays_no_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def wait(*_: object, **__: object) -> list[object]:
        answer.wait(10)
        return []

    async def steps(helper: ServiceHelper) -> None:
        helper.config = CONFIG
        # Each look-up is given up, but its thread goes on. There are never more than `MAX_LOOKUPS` threads.
        for _ in range(3 * MAX_LOOKUPS):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await helper.resolve("remote", "adsl1")
        assert threading.active_count() <= before + MAX_LOOKUPS

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    before = threading.active_count()
    watch = Stopwatch()
    run(tmp_path, steps)
    assert watch.own < 5
    answer.set()


def test_where_no_thread_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def steps(helper: ServiceHelper) -> None:
        helper.config = CONFIG
        monkeypatch.setattr(threading.Thread, "start", fail)
        for _ in range(MAX_LOOKUPS + 1):
            with pytest.raises(HelperError, match="Resource temporarily unavailable"):
                await helper.resolve("remote", "adsl1")

    run(tmp_path, steps)


CONFIG = Config(
    Mode.CLIENT,
    b"x",
    control_bind_host="localhost",
    control_bind_port="1040",
    links=(LinkConfig("adsl1", bindhost="127.0.0.1", remotehost="localhost", remoteport="5080"),),
)


def test_names_are_looked_up_here(tmp_path: Path) -> None:
    async def steps(helper: ServiceHelper) -> None:
        with pytest.raises(HelperError, match="no configuration"):
            await helper.resolve("control")
        helper.config = CONFIG
        assert (socket.AF_INET, ("127.0.0.1", 5080)) in await helper.resolve("remote", "adsl1")
        assert await helper.resolve("bind", "adsl1") == [(socket.AF_INET, ("127.0.0.1", 0))]
        assert (socket.AF_INET, ("127.0.0.1", 1040)) in await helper.resolve("control")
        with pytest.raises(HelperError, match="no link adsl2"):
            await helper.resolve("remote", "adsl2")

    run(tmp_path, steps)


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_without_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_args: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    async def steps(helper: ServiceHelper) -> None:
        helper.config = CONFIG
        with pytest.raises(HelperError, match="not known|too long"):
            await helper.resolve("remote", "adsl1")

    run(tmp_path, steps)


def test_the_control_socket_is_the_units_or_bound_here(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "RUNTIME_DIRECTORY", str(tmp_path.parent))
    path = tmp_path.parent / "test/control.sock"
    path.parent.mkdir()
    inherited = listen(str(tmp_path / "unit.sock"))

    async def steps(helper: ServiceHelper) -> None:
        assert await helper.open_control() is None
        helper.config = Config(Mode.CLIENT, b"x", control_unix_path=str(path))
        helper.service = service
        service.descriptors = {"control": [inherited.detach()]}
        for expected in (tmp_path / "unit.sock", path):
            found = await helper.open_control()
            assert found is not None
            with found:
                assert found.getsockname() == str(expected)
        assert await helper.open_log() is None

    run(tmp_path, steps)


def test_a_control_socket_that_systemd_has_not_made_yet(tmp_path: Path) -> None:
    """The file system is read-only for the daemon there, which says nothing of what to do."""

    async def steps(helper: ServiceHelper) -> None:
        helper.config = Config(Mode.CLIENT, b"x", control_unix_path=str(tmp_path / "control.sock"))
        with pytest.raises(HelperError, match=r"'systemctl daemon-reload' and 'systemctl restart mlvpn@test'$"):
            await helper.open_control()

    run(tmp_path, steps)


def test_the_places_are_those_of_the_units() -> None:
    units = Path(__file__).parents[3] / "systemd"
    for suffix, name in ((".sock", "mlvpn-helper@.socket"), (".script", "mlvpn-script@.socket")):
        text = (units / name).read_text()
        assert f"ListenSequentialPacket={address.DIRECTORY.replace('/run/', '%t/')}/%i{suffix}\n" in text
