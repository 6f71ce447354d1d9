"""Real `mlvpn` daemons, started by hand on the hosts of a lab, and the system's view of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .lab import Host, wait_until

MLVPN = Path(sys.executable).with_name("mlvpn")
"""The installed command, beside the interpreter that runs the tests."""

UNPRIVILEGED_USER = "nobody"
START_TIMEOUT = 15.0
STOP_TIMEOUT = 10.0
_LOG_SHOWN = 4000
"""Characters of the log's end that a failure shows."""
_FAULT = re.compile(
    r"^.*(?:import of \S+ refused|Traceback|never retrieved|internal error|Exception in callback).*$", re.M
)


class DaemonError(AssertionError):
    """A daemon did not do what the test asked; the text ends with its log."""


def config_text(
    general: Mapping[str, object],
    links: Mapping[str, Mapping[str, object]],
    filters: Iterable[tuple[str, str]] = (),
    rules: Iterable[tuple[str, str]] = (),
) -> str:
    """A configuration file. `filters` are pairs of link and expression; `rules` of action with links and expression.

    None leaves a key out.
    """
    sections: list[tuple[str, Iterable[tuple[str, object]]]] = [("general", general.items())]
    sections += [(name, keys.items()) for name, keys in links.items()]
    sections += [("filters", filters), ("rules", rules)]
    lines = []
    for name, entries in sections:
        written = [f'{key} = "{value}"' for key, value in entries if value is not None]
        if written:
            lines += [f"[{name}]", *written, ""]
    return "\n".join(lines)


def faults(log: str) -> list[str]:
    """Lines of a log that no daemon should write, whatever is done to it. They show a mistake in the program."""
    return [found[0] for found in _FAULT.finditer(log)]


class Daemon:
    """One `mlvpn -c FILE`: the privileged parent and its child. It can be stopped and started again."""

    def __init__(
        self,
        host: Host,
        directory: Path,
        name: str,
        config: str,
        *,
        control: Path | None = None,
        user: str = UNPRIVILEGED_USER,
        options: Sequence[str] = (),
    ) -> None:
        """Files go into `directory`. `control` is the `control_unix_path` in `config`, if there is one."""
        self.host = host
        self.name = name
        self.config_path = directory / f"{name}.conf"
        self.log_path = directory / f"{name}.log"
        self.state_directory = directory / f"{name}.state"
        shutil.rmtree(self.state_directory, ignore_errors=True)  # of another daemon of this name
        self._control = control
        self._options = ("--name", name, "--user", user, "--debug", *options)
        self._process: subprocess.Popen[bytes] | None = None
        self.program: Sequence[str] = (str(MLVPN),)
        """The program to start; may be replaced before the start."""
        self.write_config(config)
        self.log_path.touch()

    # Life

    def write_config(self, config: str) -> None:
        """Replaces the file, with mode 0600. `reload` makes the daemon read it."""
        fresh = self.config_path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(config)
        fresh.replace(self.config_path)

    def start(self) -> None:
        """Starts the daemon and returns at once. Standard error is added to the log.

        What outlasts a stop is kept beside the log.
        """
        keep = f"STATE_DIRECTORY={self.state_directory}"
        assert not self.running
        with self.log_path.open("ab") as log:
            self._process = self.host.start(
                "env", keep, *self.program, "-c", str(self.config_path), *self._options, stdout=log, stderr=log
            )

    @property
    def running(self) -> bool:
        """Whether the parent exists."""
        return self._process is not None and self._process.poll() is None

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Asks the parent to stop.

        DaemonError unless both processes go in time, the exit status is 0, and no fault was ever logged.
        """
        child = self.child_pid
        status = self._end(number)
        if status != 0:
            raise self._error(f"exit status {status}")
        if not wait_until(lambda: not Path(f"/proc/{child}").exists(), STOP_TIMEOUT):
            raise self._error(f"the child {child} is still there")
        if found := faults(self.log()):
            raise self._error(f"it logged {found[0]!r}")

    def kill(self) -> None:
        """Kills both processes without a warning."""
        with contextlib.suppress(ProcessLookupError, DaemonError):
            os.kill(self.child_pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def wait_exit(self, timeout: float = STOP_TIMEOUT) -> int:
        """Waits until the daemon ends by itself; returns its exit status."""
        assert self._process is not None
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._error(f"still running after {timeout} s") from None

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self.wait_exit()

    def reload(self) -> None:
        """Sends SIGHUP to the parent; the log has the result."""
        os.kill(self.pid, signal.SIGHUP)

    # Its own words

    def log(self) -> str:
        """The whole log so far, over restarts."""
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, text: str, *, since: int = 0, timeout: float = START_TIMEOUT) -> int:
        """Waits for `text` after position `since` of the log; returns the position behind `text`, for the next call."""
        self._wait(lambda: text in self.log()[since:], timeout, f"{text!r} in the log")
        return self.log().index(text, since) + len(text)

    def status(self) -> dict[str, Any]:
        """The control socket's answer to `status`."""
        answer = json.loads(self.control("status"))
        assert isinstance(answer, dict)
        return answer

    def control(self, command: str) -> str:
        """The control socket's answer to a command, without the farewell."""
        assert self._control is not None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            sock.connect(str(self._control))
            sock.sendall(f"{command}\n".encode())
            sock.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        return answer.decode()

    def links(self) -> dict[str, dict[str, Any]]:
        """The links in `status`, by name."""
        return {link["name"]: link for link in self.status()["tunnels"]}

    def wait_links(self, status: str, *names: str, timeout: float = START_TIMEOUT) -> None:
        """Waits until the named links, or all, have this status; `down` is any in which they carry nothing."""

        def reached() -> bool:
            try:
                links = self.links()
            except (OSError, json.JSONDecodeError):
                return False  # not listening yet
            found = [links[name] for name in names or links]
            return bool(found) and all(
                link["status"] == status or (status == "down" and not link["up"]) for link in found
            )

        self._wait(reached, timeout, f"{', '.join(names) or 'all links'} being {status}")

    # The system's view

    @property
    def pid(self) -> int:
        """The parent's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def child_pid(self) -> int:
        """The process id of the unprivileged process. DaemonError if none.

        It is the parent's eldest child; other children are status commands.
        """
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        if not children:
            raise self._error("the parent has no child")
        return int(children[0])

    def _wait(self, done: Callable[[], bool], timeout: float, what: str) -> None:
        reached = ended = False

        def decided() -> bool:
            # In this order: the daemon's last action also counts if the daemon has ended since.
            nonlocal reached, ended
            ended = not self.running
            reached = done()
            return reached or ended

        wait_until(decided, timeout)
        if not reached:
            raise self._error(f"{'it ended' if ended else f'{timeout} s'} without {what}")

    def _error(self, text: str) -> DaemonError:
        return DaemonError(f"{self.name}: {text}\n--- end of its log ---\n{self.log()[-_LOG_SHOWN:]}")


def process_status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def process_title(pid: int) -> str:
    """The command line, as `ps` shows it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode().rstrip()


def process_name(pid: int) -> str:
    """The name that `pidof` and `pkill` look for."""
    return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")


def resident_bytes(pid: int) -> int:
    """Resident memory in bytes."""
    return int(process_status(pid)["VmRSS"].split()[0]) * 1024
