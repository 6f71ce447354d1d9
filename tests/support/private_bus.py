"""A message bus for tests alone: dbus-daemon with an inline configuration, on a socket that every user reaches."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>{type}</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  {policy}
</busconfig>
"""
OPEN_POLICY = """<policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>"""


class PrivateBus:
    """One bus; it may be killed and started again at the same address."""

    def __init__(self, policy: str = OPEN_POLICY) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mlvpnd-bus-"))
        self._folder.chmod(0o755)
        self._socket = self._folder / "bus"
        self._config = self._folder / "bus.conf"
        self._config.write_text(_CONFIG.format(type="custom", socket=self._socket, policy=policy))
        self._process: subprocess.Popen[str] | None = None
        self.address = f"unix:path={self._socket}"

    def start(self) -> None:
        """Starts the bus; returns as soon as it accepts connections."""
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile", "--print-address=1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("unix:path="), "dbus-daemon did not start"

    @property
    def pid(self) -> int:
        """The running daemon's process id."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Sends a signal to the daemon, for example SIGSTOP."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills the daemon at once, like a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        """Ends the bus and leaves nothing."""
        if self._process is not None:
            self.signal(signal.SIGCONT)
        self.kill()
        shutil.rmtree(self._folder)
