"""Starts polkit's agent for terminals, so that an ordinary user is asked for a password here, as by systemctl."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

AGENT = Path("/usr/bin/pkttyagent")
_END_LIMIT = 5.0


@contextlib.contextmanager
def password_agent(*, wanted: bool) -> Iterator[None]:
    """Inside, polkit can ask on this terminal, if that is wanted, needed and possible."""
    if not wanted or not os.geteuid() or not sys.stdin.isatty() or not AGENT.exists():
        yield
        return
    ready, told = os.pipe()
    command = [str(AGENT), "--notify-fd", str(told), "--fallback", "--process", str(os.getpid())]
    with subprocess.Popen(command, pass_fds=(told,), stdin=subprocess.DEVNULL) as agent:  # noqa: S603 - a fixed command
        os.close(told)
        # The agent closes its end when it is registered, or dies.
        os.read(ready, 1)
        os.close(ready)
        try:
            yield
        finally:
            agent.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                agent.wait(_END_LIMIT)
