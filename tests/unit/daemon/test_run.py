"""The daemon's life beside its links: reloads that come early, a start that waits for nobody, the stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from mlvpnd.base import proctitle
from mlvpnd.base.options import Options
from mlvpnd.daemon import run as daemon_module
from mlvpnd.daemon.run import Daemon
from mlvpnd.dataplane import choice
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import Configured, HelperClient, TunDescriptor
from tests.support import planes

CONFIG = """
[general]
mode = "client"
password = "x"
control_bind_host = "control.test"
control_bind_port = 1040
"""
LINK = """
[{name}]
remotehost = "127.0.0.1"
remoteport = 9
timeout = {timeout}
"""


class Helper:
    """Answers at once, unless the test has closed a gate."""

    def __init__(self) -> None:
        self.timeouts = {"adsl1": 5}
        self.configs_read = 0
        self.gates: dict[str, asyncio.Event] = {}
        self.tun, self._kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    async def _pass(self, name: str) -> None:
        if name in self.gates:
            await self.gates[name].wait()

    def close(self) -> None:
        self._kernel.close()

    def on_closed(self, callback: Callable[[], None]) -> None:
        pass

    def use_tun(self, descriptor: Callable[[], int]) -> None:
        pass

    async def open_config(self) -> bytes:
        await self._pass("open_config")
        self.configs_read += 1
        links = [LINK.format(name=name, timeout=timeout) for name, timeout in self.timeouts.items()]
        return (CONFIG + "".join(links)).encode()

    async def open_tun(self) -> TunDescriptor:
        await self._pass("open_tun")
        return TunDescriptor(self.tun.detach(), "mlvpn0", 1428)

    async def configure_tun(self, *, ipv6_path: bool, default_routes: bool) -> Configured:
        await self._pass("configure_tun")
        return Configured(1428)

    async def resolve(self, end: str, link: str | None = None) -> list[tuple[int, Any]]:
        await self._pass("resolve")
        raise MlvpndError("getaddrinfo(control.test,1040) failed: no answer")

    async def read_state(self) -> bytes | None:
        return None

    async def write_state(self, text: bytes) -> None:
        pass

    async def tune_socket(self, link: str, sock: socket.socket) -> None:
        pass

    async def run_script(self, event: str, link: str | None) -> int:
        await self._pass("run_script")
        return 0


def run(steps: Callable[[Daemon, Helper], Awaitable[None]], *, closed: str = "") -> int:
    """Runs a daemon while `steps` are taken, stops it, and returns its exit code.

    `closed` names a gate of the helper.
    """

    async def main() -> int:
        helper = Helper()
        if closed:
            helper.gates[closed] = asyncio.Event()
        daemon = Daemon(Options(config_path="f"), cast(HelperClient, helper), None)
        running = asyncio.create_task(daemon.run())
        try:
            await asyncio.sleep(0.02)
            await steps(daemon, helper)
            os.kill(os.getpid(), signal.SIGTERM)
            return await asyncio.wait_for(running, 5)
        finally:
            running.cancel()
            helper.close()

    return planes.run(main())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_module, "RELOAD_DELAY", 0.01)
    monkeypatch.setattr(proctitle, "set_title", lambda *_, **__: None)


async def timeouts(daemon: Daemon) -> list[int]:
    """The timeouts of the links, once there are links."""
    await asyncio.sleep(0.05)
    tunnel = daemon._tunnel
    assert tunnel is not None
    return [driver.config.timeout for driver in tunnel.drivers.values()]


@pytest.mark.parametrize("closed", ["open_tun", "configure_tun", "resolve"])
def test_a_reload_that_comes_while_it_starts_is_made_up_for(closed: str) -> None:
    async def steps(daemon: Daemon, helper: Helper) -> None:
        helper.timeouts = {"adsl1": 7, "adsl2": 8}
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)
        helper.gates[closed].set()
        assert await timeouts(daemon) == [7, 8]
        assert helper.configs_read == 2

    assert run(steps, closed=closed) == 0


def test_links_do_not_wait_for_the_name_of_the_control_socket() -> None:
    async def steps(daemon: Daemon, _helper: Helper) -> None:
        assert await timeouts(daemon) == [5]

    assert run(steps, closed="resolve") == 0


def test_what_the_helper_says_is_not_said_twice(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)

    async def steps(_daemon: Daemon, _helper: Helper) -> None:
        await asyncio.sleep(0.02)

    assert run(steps) == 0
    assert "priv_getaddrinfo(control.test,1040) failed: no answer" in caplog.messages


def test_a_stop_while_it_starts_is_a_clean_stop() -> None:
    async def steps(_daemon: Daemon, helper: Helper) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.02)
        helper.gates["open_tun"].set()

    assert run(steps, closed="open_tun") == 0


def test_signals_in_a_row_are_one_reload() -> None:
    async def steps(_daemon: Daemon, helper: Helper) -> None:
        for _ in range(50):
            os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.1)
        assert helper.configs_read == 2

    assert run(steps) == 0


def test_a_reload_does_not_raise_the_links_of_a_tunnel_that_is_stopping() -> None:
    """Nothing begins anew while the last script still runs, or the file is still read."""

    async def steps(daemon: Daemon, helper: Helper) -> None:
        tunnel = daemon._tunnel
        assert tunnel is not None
        helper.gates["open_config"] = asyncio.Event()
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)
        tunnel._scripts.put("rtun_down", "adsl1")
        helper.gates["run_script"] = asyncio.Event()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        helper.timeouts = {"adsl2": 8}
        os.kill(os.getpid(), signal.SIGHUP)
        helper.gates["open_config"].set()
        await asyncio.sleep(0.05)
        assert [driver.config.name for driver in tunnel.drivers.values()] == ["adsl1"]
        helper.gates["run_script"].set()

    assert run(steps) == 0


def test_a_reload_that_fails_by_a_fault_of_ours_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)

    async def steps(daemon: Daemon, _helper: Helper) -> None:
        monkeypatch.setattr(daemon._tunnel, "apply", lambda _config: 1 / 0)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)

    assert run(steps) == 0
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage() == "internal error: reload has ended"


def test_a_start_with_a_data_plane_that_cannot_run_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_native", None)

    async def main() -> None:
        helper = Helper()

        async def open_config() -> bytes:
            return (CONFIG + "data_plane = native\n").encode()

        monkeypatch.setattr(helper, "open_config", open_config)
        with pytest.raises(MlvpndError, match="the native data plane cannot run"):
            await Daemon(Options(config_path="f"), cast(HelperClient, helper), None).run()
        assert helper.tun.fileno() >= 0
        helper.tun.close()
        helper.close()

    planes.run(main())
