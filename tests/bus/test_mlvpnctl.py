"""`mlvpnctl` as a program, against services on a private bus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from mlvpnd.config import ConfigError, Problem
from mlvpnd.operator import face
from mlvpnd.operator.face import LinkChanged, TunnelChanged
from mlvpnd.operator.status import LinkState
from tests.support.fake_operator import FakeOperator
from tests.support.passable import as_user
from tests.support.private_bus import PrivateBus
from tests.support.terminal import Terminal

from .served import LIMIT, caller, owned, running

COMMAND = (sys.executable, "-m", "mlvpnd.cli.mlvpnctl")
PROJECT = Path(__file__).resolve().parents[2]


class Done(NamedTuple):
    """The result of a run."""

    code: int
    out: str
    err: str


def environment(bus: PrivateBus) -> dict[str, str]:
    return {
        **os.environ,
        "DBUS_SYSTEM_BUS_ADDRESS": bus.address,
        "PYTHONWARNINGS": "error,ignore::ImportWarning",
        "PYTHONUTF8": "1",
    }


async def start(bus: PrivateBus, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *words,
        env=environment(bus),
        cwd=PROJECT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(bus: PrivateBus, *words: str) -> Done:
    process = await start(bus, *words)
    async with asyncio.timeout(LIMIT):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def tunnel(bus: PrivateBus, operator: FakeOperator, name: str = "mlvpn0") -> AsyncIterator[None]:
    """A tunnel that has its name on the bus."""
    async with running(bus, operator, name), caller(bus) as one:
        await owned(one, f"org.mlvpn1.Tunnel.{name}")
        yield


def two_links() -> FakeOperator:
    operator = FakeOperator("adsl1", "adsl-2")
    operator.change_link("adsl-2", status=LinkState.DISCONNECTED, reason="timeout", share=0.0, peer="")
    return operator


def test_what_is_shown(bus: PrivateBus) -> None:
    async def scenario() -> None:
        async with tunnel(bus, two_links()), tunnel(bus, FakeOperator(), "srv-1"):
            for words in ((), ("list",)):
                done = await run(bus, *words)
                assert done.code == 0
                heads, first, second = (line.split() for line in done.out.splitlines())
                assert heads == ["TUNNEL", "STATE", "MODE", "INTERFACE", "SINCE", "LINKS"]
                assert (first[:4], first[-2:]) == (["mlvpn0", "up", "client", "tun7"], ["!adsl-2", "@adsl1"])
                assert (second[:4], second[-1]) == (["srv-1", "up", "client", "tun7"], "-")
                assert first[4].endswith("d")  # days, since the operator's time
            done = await run(bus, "links", "mlvpn0", "--no-legend")
            up, down = done.out.splitlines()
            assert up.startswith("adsl1   up    50.0 %  24 ms  3 %  13 B  14 B  198.51.100.1:5080  ")
            assert down.startswith("adsl-2  down  -       24 ms  -    13 B  14 B  -  ")
            assert [line.split()[-2:] for line in (up, down)] == [["ago", "4"]] * 2
            done = await run(bus, "status", "mlvpn0")
            assert done.code == 0
            assert "Config: /etc/mlvpn/mlvpn0.conf" in done.out
            assert "adsl-2: timeout" in done.out
            done = await run(bus, "show", "mlvpn0/adsl1", "-p", "State,BandwidthUpload", "-p", "LocalAddress")
            assert done.out == "State=up\nBandwidthUpload=125000\nLocalAddress=[2001:db8::2]:5081\n"
            done = await run(bus, "--json=short", "status", "mlvpn0")
            (described,) = json.loads(done.out)
            assert described["ReorderBuffer"]["Held"] == 1
            assert [link["Name"] for link in described["Links"]] == ["adsl1", "adsl-2"]
            done = await run(bus, "top", "--once", "--delay=0.2", "--json=short", "mlvpn0")
            (shown,) = json.loads(done.out)["Tunnels"]
            assert shown["Links"][0]["TxRate"] == 0

    asyncio.run(scenario())


def test_what_is_changed(bus: PrivateBus) -> None:
    async def scenario() -> None:
        operator = two_links()
        level = face.log_level()
        async with tunnel(bus, operator):
            assert await run(bus, "link", "mlvpn0", "adsl-2", "disable") == Done(
                0, "mlvpn0: adsl-2: disabled until it is enabled again\n", ""
            )
            assert await run(bus, "-q", "link", "mlvpn0", "adsl1", "reconnect") == Done(0, "", "")
            assert (await run(bus, "bandwidth", "mlvpn0", "adsl1", "20Mbit")).code == 0
            assert (await run(bus, "reload", "--quiet", "mlvpn0")) == Done(0, "", "")
            said = "mlvpn0: all links are enabled, counters begin at 0, and addresses are forgotten\n"
            assert await run(bus, "forget", "mlvpn0") == Done(0, said, "")
            assert await run(bus, "-q", "forget") == Done(0, "", "")
            assert (await run(bus, "forget", "nix")).code == 4
            assert operator.asked == [
                ("set_enabled", "adsl-2", False),
                ("reconnect", "adsl1"),
                ("set_bandwidth_upload", "adsl1", 2_500_000),
                ("reload",),
                ("forget",),
                ("forget",),
            ]
            try:
                assert (await run(bus, "log-level", "mlvpn0", "debug")).code == 0
                assert (await run(bus, "log-level", "mlvpn0")).out == "debug\n"
            finally:
                face.set_log_level(level)

    asyncio.run(scenario())


def test_a_wrong_file_is_told_line_by_line(bus: PrivateBus) -> None:
    async def scenario() -> None:
        operator = two_links()
        operator.reload_error = ConfigError((Problem("f", 3, "mode", "bad"), Problem("f", 9, "", "worse")))
        async with tunnel(bus, operator):
            done = await run(bus, "--quiet", "reload", "mlvpn0")
            assert done == Done(1, "", "mlvpn0: f:3: mode: bad\nmlvpn0: f:9: worse\n")

    asyncio.run(scenario())


def test_exit_codes(bus: PrivateBus) -> None:
    async def scenario() -> None:
        async with tunnel(bus, two_links()):
            absent = "mlvpnd-test-no-such-tunnel"
            cases: dict[tuple[str, ...], int] = {
                ("status", absent): 4,
                ("show", "mlvpn0/adsl9"): 4,
                ("link", "mlvpn0", "adsl9", "enable"): 4,
                ("reload", absent): 4,
                ("log-level", absent): 4,
                ("show", "mlvpn0", "-p", "Nothing"): 1,
                ("link", "mlvpn0", "adsl1", "explode"): 2,
                ("bandwidth", "mlvpn0", "adsl1", "much"): 2,
                ("top",): 2,
            }
            for words, code in cases.items():
                done = await run(bus, *words)
                assert (done.code, done.out) == (code, ""), words
                assert done.err, words
                assert "Traceback" not in done.err

    asyncio.run(scenario())


def test_a_reload_tells_warnings(bus: PrivateBus) -> None:
    operator = FakeOperator()
    operator.warnings = ["/etc/mlvpn/mlvpn0.conf:7: timout: unknown key"]

    async def scenario() -> None:
        async with tunnel(bus, operator):
            done = await run(bus, "reload", "mlvpn0")
            assert done == Done(0, "mlvpn0: reloaded\n", f"mlvpn0: warning: {operator.warnings[0]}\n")
            assert await run(bus, "reload", "--quiet", "mlvpn0") == Done(0, "", "")

    asyncio.run(scenario())


def test_not_allowed(bus: PrivateBus) -> None:
    """An ordinary user without a polkit. The service accepts its own user, so this one must be another."""

    async def scenario() -> None:
        async with tunnel(bus, two_links()):
            process = await asyncio.create_subprocess_exec(
                *as_user(65534, *COMMAND, "reload", "mlvpn0"),
                env=environment(bus),
                cwd=PROJECT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
            assert (process.returncode, out) == (5, b"")
            assert err.startswith(b"mlvpn0: not authorized")

    asyncio.run(scenario())


def test_without_a_bus(bus: PrivateBus) -> None:
    bus.kill()
    for words in (("list",), ("monitor",), ("log-level", "mlvpn0")):
        done = asyncio.run(run(bus, *words))
        assert done.code == 1
        assert "the system bus cannot be reached" in done.err


def test_monitor(bus: PrivateBus) -> None:
    async def scenario() -> None:
        operator, other = two_links(), FakeOperator("x")
        async with tunnel(bus, operator), tunnel(bus, other, "srv-1"):
            process = await start(bus, "monitor", "--json=short", "mlvpn0", "late")
            assert process.stdout is not None

            async def event() -> dict[str, Any]:
                assert process.stdout is not None
                async with asyncio.timeout(LIMIT):
                    told: dict[str, Any] = json.loads(await process.stdout.readline())
                del told["Timestamp"]
                return told

            # From outside, nobody sees when it listens to the bus. The first event that arrives shows it.
            async def repeat() -> None:
                while True:
                    operator.notify(TunnelChanged("up", "fallback", ""))
                    await asyncio.sleep(0.1)

            repeated = asyncio.create_task(repeat())
            first = {"Tunnel": "mlvpn0", "Event": "StateChanged", "State": "fallback", "OldState": "up", "Reason": ""}
            assert await event() == first
            repeated.cancel()
            other.notify(LinkChanged("x", LinkState.CONNECTED, LinkState.DISCONNECTED, "timeout"))
            operator.notify(LinkChanged("adsl1", LinkState.CONNECTED, LinkState.DISCONNECTED, "timeout"))
            while (told := await event()) == first:
                pass
            path = "/org/mlvpn1/tunnel/mlvpn0/link/adsl1"
            assert told == {"Tunnel": "mlvpn0", "Event": "LinkDown", "Link": "adsl1", "Path": path, "Reason": "timeout"}
            async with tunnel(bus, FakeOperator(), "late"):
                assert await event() == {"Tunnel": "late", "Event": "Started"}
            assert await event() == {"Tunnel": "late", "Event": "Stopped"}
            bus.kill()
            _, err = await process.communicate()
            assert process.returncode == 1
            assert b"the system bus cannot be reached" in err

    asyncio.run(scenario())


def test_the_live_screen(bus: PrivateBus) -> None:
    """80x24, another tunnel, another size, the daemon's end and its return."""

    async def scenario() -> None:
        operator = two_links()
        with Terminal([*COMMAND, "top", "--delay=0.2"], environment(bus), PROJECT) as terminal:
            await terminal.until("no tunnel is running")
            async with tunnel(bus, operator):
                await terminal.until("adsl-2       down")
                assert any(line.startswith("adsl1        up        50 %   24 ms   3 %") for line in terminal.lines)
                operator.change_link("adsl1", sent_bytes=50_000_000)
                await terminal.until("█")
                async with tunnel(bus, FakeOperator("only"), "srv-1"):
                    await terminal.until("mlvpn0 srv-1")
                    terminal.type("\x1b[C")
                    await terminal.until("only         up")
                    terminal.resize(60, 10)
                    await terminal.until("only         up")
                    assert max(map(len, terminal.lines)) <= 60
                    terminal.resize(100, 30)
                await terminal.until("not running")
                # The program draws over the screen, and never wipes it and draws it anew.
                terminal.output.clear()
                terminal.type("\x1b[D")
                await terminal.until("adsl-2       down")
                assert b"\x1b[2J" not in terminal.output
            await terminal.until("not running")
            async with tunnel(bus, operator):
                await terminal.until("adsl-2       down")
            terminal.type("q")
            assert await terminal.wait() == 0, "\n".join(terminal.lines)
            assert "Traceback" not in terminal.output.decode(errors="replace")

    asyncio.run(scenario())
