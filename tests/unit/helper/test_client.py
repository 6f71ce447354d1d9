"""The stubs against the real server and operations, without root. tests/netns/test_byhand.py has what needs root."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from mlvpnd.helper import client as client_module
from mlvpnd.helper.client import HelperClient, HelperError
from mlvpnd.helper.operations import Operations
from mlvpnd.helper.server import refuse, serve_connection

from .descriptors import open_descriptors

T = TypeVar("T")


def _with_helper(config_path: Path, scenario: Callable[[HelperClient], Awaitable[T]]) -> T:
    async def run() -> T:
        operations = Operations(str(config_path), os.geteuid(), os.getegid())
        served: list[asyncio.Task[None]] = []

        def connect() -> socket.socket:
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            served.append(asyncio.create_task(serve_connection(theirs, operations)))
            return mine

        client = HelperClient(connect)
        device = os.open("/dev/net/tun", os.O_RDWR)  # like one whose interface was deleted
        client.use_tun(lambda: device)
        try:
            return await scenario(client)
        finally:
            os.close(device)
            await asyncio.gather(*served)
            await operations.close()
            await operations.undo()

    before = open_descriptors()
    try:
        return asyncio.run(run())
    finally:
        assert open_descriptors() == before


def _error(config_path: Path, scenario: Callable[[HelperClient], Awaitable[object]]) -> str:
    with pytest.raises(HelperError) as raised:
        _with_helper(config_path, scenario)
    return str(raised.value)


def test_the_configuration(config_path: Path) -> None:
    assert _with_helper(config_path, lambda helper: helper.open_config()) == config_path.read_bytes()


def test_a_configuration_that_others_can_read(config_path: Path) -> None:
    config_path.chmod(0o640)
    assert "file is group/other accessible" in _error(config_path, lambda helper: helper.open_config())


def test_another_file_with_the_password_is_warned_of_and_the_password_is_not_told(
    config_path: Path, log_lines: pytest.LogCaptureFixture
) -> None:
    other = config_path.with_name("other.conf")
    other.touch(mode=0o600)
    other.write_text(config_path.read_text().replace("adsl1", "wifi"))
    assert _with_helper(config_path, lambda helper: helper.open_config()) == config_path.read_bytes()
    (line,) = log_lines.messages
    assert line.startswith(f"{other} has the same password: ")
    assert log_lines.records[0].levelname == "WARNING"
    log_lines.clear()
    other.write_text(other.read_text().replace('"secret"', '"another"'))
    assert _with_helper(config_path, lambda helper: helper.open_config()) == config_path.read_bytes()
    assert log_lines.messages == []


def test_a_wrong_configuration_is_handed_out_all_the_same(config_path: Path) -> None:
    config_path.write_text("nonsense")
    assert _with_helper(config_path, lambda helper: helper.open_config()) == b"nonsense"
    assert "mlvpn.conf" in _error(config_path, lambda helper: helper.open_tun())


def test_names_of_the_file(config_path: Path) -> None:
    async def scenario(helper: HelperClient) -> None:
        assert (socket.AF_INET, ("127.0.0.1", 5080)) in await helper.resolve("remote", "adsl1")
        assert await helper.resolve("bind", "adsl1") == [(socket.AF_INET, ("127.0.0.1", 0))]
        assert {family for family, _ in await helper.resolve("bind", "adsl2")} == {socket.AF_INET, socket.AF_INET6}

    _with_helper(config_path, scenario)


def test_only_links_of_the_file(config_path: Path) -> None:
    async def tune(helper: HelperClient) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            await helper.tune_socket("nix", sock)

    expected = f"no link 'nix' in {config_path}"
    assert _error(config_path, tune) == expected
    assert _error(config_path, lambda helper: helper.resolve("remote", "nix")) == expected
    assert _error(config_path, lambda helper: helper.run_script("rtun_up", "nix")) == expected


def test_sockets_are_tuned_and_bound(config_path: Path) -> None:
    async def scenario(helper: HelperClient) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            await helper.tune_socket("adsl1", sock)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= before
            await helper.bind_socket("adsl1", sock)
            assert sock.getsockname()[0] == "127.0.0.1"

    _with_helper(config_path, scenario)


def test_a_socket_of_another_kind(config_path: Path) -> None:
    async def scenario(helper: HelperClient) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            await helper.bind_socket("adsl1", sock)

    assert _error(config_path, scenario) == "not a UDP socket"


def test_no_control_socket_and_no_status_command(config_path: Path) -> None:
    async def scenario(helper: HelperClient) -> None:
        assert await helper.open_control() is None
        assert await helper.run_script("tuntap_up", None) == 0

    _with_helper(config_path, scenario)


def test_the_control_socket(config_path: Path, trusted_directory: Path) -> None:
    path = trusted_directory / "control"
    text = config_path.read_text().replace("[general]", f'[general]\ncontrol_unix_path = "{path}"')
    config_path.write_text(text)

    async def scenario(helper: HelperClient) -> None:
        listener = await helper.open_control()
        assert listener is not None
        with listener:
            assert not listener.getblocking()
            _reader, writer = await asyncio.open_unix_connection(path)
            writer.close()

    _with_helper(config_path, scenario)
    assert not path.exists()


def test_a_link_that_left_the_file_still_goes_down(config_path: Path, trusted_directory: Path) -> None:
    script = trusted_directory / "script"
    script.write_text(f'#!/bin/sh\necho "$@" >>{trusted_directory}/calls\n')
    script.chmod(0o700)
    text = config_path.read_text().replace("mlvtest%d", f'lo"\nstatuscommand = "{script}')
    config_path.write_text(text)

    async def scenario(helper: HelperClient) -> None:
        await helper.run_script("rtun_up", "adsl2")
        config_path.write_text(text[: text.index("[adsl2]")])
        await helper.open_config()
        await helper.run_script("rtun_down", "adsl2")
        config_path.write_text("broken")
        await helper.run_script("tuntap_down", None)

    _with_helper(config_path, scenario)
    assert (trusted_directory / "calls").read_text().splitlines() == [
        "lo rtun_up adsl2",
        "lo rtun_down adsl2",
        "lo tuntap_down",
    ]


def test_an_interface_pattern_without_an_interface(config_path: Path) -> None:
    expected = "interface mlvtest%d is gone"
    assert _error(config_path, lambda helper: helper.configure_tun(ipv6_path=False)) == expected


def test_before_the_interface_is_open() -> None:
    client = HelperClient(socket.socket)
    for call in (client.configure_tun(ipv6_path=False), client.unconfigure_tun(), client.run_script("tuntap_up", None)):
        with pytest.raises(HelperError, match="no interface is open"):
            asyncio.run(call)


def test_nothing_is_left_on_an_interface_that_is_gone(config_path: Path) -> None:
    _with_helper(config_path, lambda helper: helper.unconfigure_tun())


def test_a_helper_that_is_gone() -> None:
    def refuse() -> socket.socket:
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(HelperError, match="open-tun: the helper cannot be reached: Connection refused"):
        asyncio.run(HelperClient(refuse).open_tun())


class HangsUp:
    """A helper that ends in the middle of the first `times` requests, and answers later ones."""

    def __init__(self, times: int, *, unread: bool = False) -> None:
        self._times = times
        self._unread = unread
        self._served: list[asyncio.Task[None]] = []
        self.connections = 0

    def connect(self) -> socket.socket:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connections += 1
        self._served.append(asyncio.create_task(self._serve(theirs, answer=self.connections > self._times)))
        return mine

    async def _serve(self, sock: socket.socket, *, answer: bool) -> None:
        with sock:
            sock.setblocking(False)
            if answer or not self._unread:
                await asyncio.get_running_loop().sock_recv(sock, 4096)
            if answer:
                sock.send(b'{"ok": true}')


@pytest.mark.parametrize("reads", [True, False], ids=["at work", "before it began"])
def test_a_helper_that_ends_in_the_middle_is_asked_again(reads: bool, log_lines: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        helper = HangsUp(1, unread=not reads)
        assert await HelperClient(helper.connect).open_log() is None
        assert helper.connections == 2

    asyncio.run(scenario())
    assert log_lines.messages == ["open-log: the helper ended before its answer: it is asked again"]
    assert log_lines.records[0].__dict__["journal"] == {"EVENT": "helper-lost", "REQUEST": "open-log"}


def test_what_is_refused_is_not_asked_again(log_lines: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        asked = 0

        def connect() -> socket.socket:
            nonlocal asked
            asked += 1
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                refuse(theirs, "not yours")
            return mine

        with pytest.raises(HelperError):
            await HelperClient(connect).open_log()
        assert asked == 1

    asyncio.run(scenario())
    assert log_lines.messages == ["request refused: not yours"]


def test_a_helper_that_hangs_up_again() -> None:
    async def scenario() -> None:
        helper = HangsUp(9)
        with pytest.raises(HelperError, match="open-log: the helper hung up"):
            await HelperClient(helper.connect).open_log()
        assert helper.connections == 2

    asyncio.run(scenario())


def test_a_script_is_not_begun_a_second_time(log_lines: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        helper = HangsUp(9)
        client = HelperClient(helper.connect)
        with socket.socket() as device:
            client.use_tun(device.fileno)
            with pytest.raises(HelperError, match="run-script: the helper hung up"):
                await client.run_script("tuntap_up", None)
        assert helper.connections == 1

    asyncio.run(scenario())
    assert log_lines.messages == []


def test_a_helper_that_nobody_starts_again(log_lines: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        helper = HangsUp(9)
        lifeline, other = socket.socketpair()
        with lifeline, other, pytest.raises(HelperError, match="open-log: the helper hung up"):
            await HelperClient(helper.connect, lifeline).open_log()
        assert helper.connections == 1

    asyncio.run(scenario())
    assert log_lines.messages == []


def test_a_helper_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect() -> socket.socket:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept.append(theirs)
        return mine

    kept: list[socket.socket] = []
    monkeypatch.setattr(client_module, "_LIMIT", 0.05)
    with pytest.raises(HelperError, match=r"open-log: no answer after 0.05 s"):
        asyncio.run(HelperClient(connect).open_log())
    kept[0].close()


def test_the_end_of_the_helper_is_noticed() -> None:
    async def scenario() -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        calls = 0

        def closed() -> None:
            nonlocal calls
            calls += 1

        with ours:
            HelperClient(lambda: ours, ours).on_closed(closed)
            await asyncio.sleep(0.01)
            assert calls == 0
            theirs.close()
            await asyncio.sleep(0.05)
        return calls

    assert asyncio.run(scenario()) == 1
