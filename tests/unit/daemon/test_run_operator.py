"""The daemon as a service: the sockets by which it is asked, and what an operator does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlvpnd.base.options import Options
from mlvpnd.config.problems import ConfigError
from mlvpnd.daemon import run as daemon_module
from mlvpnd.daemon.run import Daemon
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import HelperError
from mlvpnd.helper.service_client import listen
from mlvpnd.operator.face import (
    ConfigUnreadable,
    LinkDisabled,
    LinkPropertiesChanged,
    NoSuchLink,
    Notice,
    Reloaded,
    TunnelChanged,
)
from tests.support.linkemu import PROJECT
from tests.support.passable import as_user
from tests.support.service_host import LIMIT, Host, is_up, run, service_host, until


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with service_host(tmp_path, monkeypatch) as host:
        yield host


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
            told = await ask(private, "reload")
            assert told["ok"] is True
            assert "bandwidth_upload" in told["warnings"][0]  # it is a ratio
            assert daemon.snapshot().links[0].timeout == 7
            assert (await ask(private, "status"))["tunnels"][0]["name"] == "adsl1"
            host.helper.interface = "a/b"
            answer = await ask(private, "reload")
            assert "f:3:" in answer["error"]
            assert daemon.snapshot().links[0].timeout == 7

    run(steps())


def test_the_private_socket_forgets(host: Host) -> None:
    async def steps() -> None:
        with host.peer:
            async with host.running() as daemon:
                await until(lambda: is_up(daemon))
                daemon.set_enabled("adsl1", enabled=False)
                private = host.runtime / "private.sock"
                await until(private.exists)
                assert await ask(private, "forget") == {"ok": True}
                link = daemon.snapshot().links[0]
                assert (link.enabled, link.sent_bytes, link.disconnects) == (True, 0, 0)
                file = host.state_directory / "state.json"
                await until(lambda: file.exists() and json.loads(file.read_text()) == {"version": 1, "links": {}})

    run(steps())


STRANGER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    sock.sendall(sys.argv[2].encode() + b"\\n")
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
            daemon.set_enabled("adsl1", enabled=False)
            for command in ("reload", "forget"):
                words = as_user(65534, sys.executable, "-c", STRANGER, path, command)
                stranger = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, cwd=PROJECT)
                output, _ = await asyncio.wait_for(stranger.communicate(), LIMIT)
                assert json.loads(output)["denied"] is True
            assert not daemon.snapshot().links[0].enabled
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
                await until(lambda: is_up(daemon))
                await daemon.reload()
                assert daemon.snapshot().links[0].bandwidth_upload == 1000
                told.clear()
                daemon.reconnect("adsl1")
                assert not is_up(daemon)
                await until(lambda: is_up(daemon))
                assert TunnelChanged("up", "connecting") in told
                assert TunnelChanged("connecting", "up") in told
                assert host.peer.downs == 2
                with pytest.raises(NoSuchLink, match="no link nix"):
                    daemon.reconnect("nix")
                daemon.set_enabled("adsl1", enabled=False)
                with pytest.raises(LinkDisabled, match="adsl1 is disabled: enable it first"):
                    daemon.reconnect("adsl1")
                daemon.set_enabled("adsl1", enabled=True)
                await until(lambda: is_up(daemon))
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
