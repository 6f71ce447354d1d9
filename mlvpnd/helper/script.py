"""Runs the status command with upstream's arguments, environment and checks. Every run has a time limit.

A tunnel's scripts run one at a time, in the order of the requests. Their output goes to the log.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from dataclasses import dataclass

from mlvpnd.config.model import Config
from mlvpnd.errors import MlvpndError
from mlvpnd.logs.journal import fields
from mlvpnd.logs.log import logger

from .files import Script, open_script
from .requests import ScriptEvent

TIME_LIMIT = 60.0
"""Seconds that a script may take before it gets SIGTERM."""
KILL_DELAY = 5.0
"""Seconds from SIGTERM to SIGKILL."""
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_LINES = 200
"""Lines of one run in the log: a script that prints without end must not fill the disk."""
_MAX_LINE_LENGTH = 1000
_MAX_LINGERING = 16
"""Ended runs whose output is still read because a process that they left behind holds it open."""

_log = logger("privsep")


class ScriptError(MlvpndError):
    """The script was not run; the text says why."""


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """Everything that a run needs."""

    path: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    link: str = ""
    """The event's link, for the log."""


def compose(config: Config, event: ScriptEvent, link: str | None, device: str, mtu: int) -> ScriptRun:
    """Upstream's argv and environment; nothing is inherited."""
    return ScriptRun(
        path=config.statuscommand,
        arguments=(config.statuscommand, device, event.value, *([link] if link is not None else [])),
        environment={
            "PATH": SEARCH_PATH,
            "IP4": config.ip4,
            "IP6": config.ip6,
            "IP4_GATEWAY": config.ip4_gateway,
            "IP6_GATEWAY": config.ip6_gateway,
            "IP4_ROUTES": config.ip4_routes,
            "IP6_ROUTES": config.ip6_routes,
            "DEVICE": device,
            "MTU": str(mtu),
        },
        link=link or "",
    )


class _OutputLog:
    """Cuts what a script prints into lines for the log."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._partial = b""
        self._lines = 0

    def feed(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._write(line)
        if len(self._partial) > _MAX_LINE_LENGTH:
            self.end()

    def end(self) -> None:
        """Writes an unfinished last line."""
        if self._partial:
            self._write(self._partial)
        self._partial = b""

    def _write(self, line: bytes) -> None:
        self._lines += 1
        if self._lines > _MAX_LINES:
            if self._lines == _MAX_LINES + 1:
                _log.warning("network script %s: further output is not logged", self._path)
            return
        text = line[:_MAX_LINE_LENGTH].decode(errors="replace")
        _log.info("%s: %s", self._path, "".join(letter if letter.isprintable() else " " for letter in text).rstrip())


class ScriptRunner:
    """Runs scripts one after the other; `time_limit` and `kill_delay` are in seconds."""

    def __init__(self, *, time_limit: float = TIME_LIMIT, kill_delay: float = KILL_DELAY) -> None:
        self._time_limit = time_limit
        self._kill_delay = kill_delay
        self._turn = asyncio.Lock()
        self._closing = False
        self._readers: list[asyncio.Task[None]] = []

    async def run(self, script: ScriptRun) -> int:
        """Returns the exit status, or minus the signal that killed it; logs it unless it is 0 and came in time.

        Raises ScriptError if the script cannot be run and UnsafeFile if it may not be; the caller logs this.
        """
        async with self._turn:
            if self._closing:
                raise ScriptError(f"{script.path}: not run, the helper is ending")
            try:
                with open_script(script.path) as opened:
                    process, output = await self._start(script, opened)
            except (OSError, ValueError) as error:
                raise ScriptError(f"{script.path}: could not launch network script: {error}") from None
            self._follow_output(script.path, output)
            status, timed_out = await self._finish(process)
        if timed_out:
            problem = f": not done after {self._time_limit:g} s, killed"
        elif status < 0:
            problem = f" killed by signal {-status}"
        else:
            problem = f" exit status {status}"
        if status or timed_out:
            extra = fields("script-failed", script.link, rc=status)
            _log.warning("network script %s%s", script.path, problem, extra=extra)
        return status

    async def close(self) -> None:
        """Waits for the running script, and stops reading the output of ended ones. No more scripts are run."""
        self._closing = True
        async with self._turn:
            for reader in self._readers:
                reader.cancel()
            await asyncio.gather(*self._readers, return_exceptions=True)

    async def _start(self, script: ScriptRun, opened: Script) -> tuple[asyncio.subprocess.Process, int]:
        output, script_end = os.pipe2(os.O_CLOEXEC)
        try:
            process = await asyncio.create_subprocess_exec(
                *script.arguments,
                executable=opened.executable,
                env=script.environment,
                stdin=subprocess.DEVNULL,
                stdout=script_end,
                stderr=script_end,
                cwd="/",
                umask=0o022,
                start_new_session=True,
                pass_fds=(opened.descriptor,),
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(script_end)
        return process, output

    async def _finish(self, process: asyncio.subprocess.Process) -> tuple[int, bool]:
        """The exit status, and whether the script had to be killed."""
        for number, limit in ((signal.SIGTERM, self._time_limit), (signal.SIGKILL, self._kill_delay)):
            try:
                return await asyncio.wait_for(process.wait(), limit), number == signal.SIGKILL
            except TimeoutError:
                _signal_group(process, number)
        return await process.wait(), True

    def _follow_output(self, path: str, output: int) -> None:
        self._readers = [reader for reader in self._readers if not reader.done()]
        while len(self._readers) >= _MAX_LINGERING:
            self._readers.pop(0).cancel()
        self._readers.append(asyncio.create_task(_read_output(path, output)))


def _signal_group(process: asyncio.subprocess.Process, number: int) -> None:
    """Signals the script and what it has started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


async def _read_output(path: str, output: int) -> None:
    """Logs output until the last process that holds the pipe's other end is gone."""
    stream = asyncio.StreamReader()
    transport, _protocol = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(output, "rb", buffering=0)
    )
    lines = _OutputLog(path)
    try:
        while data := await stream.read(65536):
            lines.feed(data)
    finally:
        lines.end()
        transport.close()
