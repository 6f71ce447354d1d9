"""Ways for the flows: a tunnel between daemons, one from the blindly striping server, or a line without a tunnel.

Each way is up when it is made, and carries from the lab's server to its client.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from tests.support.daemons import START_TIMEOUT
from tests.support.lab import SERVER_IPV4, Lab, LabError, wait_until
from tests.support.tunnels import (
    CLIENT_INNER_IPV4,
    FIRST_PORT,
    PASSWORD,
    SERVER_INNER_IPV4,
    Tunnel,
    TunnelSpec,
    has_address,
)

from .profiles import INNER_MTU

_STRIPER = (sys.executable, "-m", "tests.support.striper")


class Way(Protocol):
    """Both ends of the way, and how it ends."""

    client: str
    """The client's address, to which the flows go."""
    server: str

    def pids(self) -> Mapping[str, int]:
        """The processes that carry the packets."""

    def stop(self) -> None:
        """Ends the way; raises an error if its processes did not end well."""

    def log(self) -> str:
        """The output of its processes."""


class Bonded:
    """A daemon at each end."""

    client, server = CLIENT_INNER_IPV4, SERVER_INNER_IPV4

    def __init__(self, lab: Lab, spec: TunnelSpec) -> None:
        self._tunnel = Tunnel(lab, spec)
        self._tunnel.start()

    def pids(self) -> Mapping[str, int]:
        return {"server": self._tunnel.server.child_pid, "client": self._tunnel.client.child_pid}

    def stop(self) -> None:
        self._tunnel.stop()

    def log(self) -> str:
        return "\n---\n".join((self._tunnel.server.log(), self._tunnel.client.log()))


class Striped:
    """The server stripes blindly; the client is a daemon."""

    client, server = CLIENT_INNER_IPV4, SERVER_INNER_IPV4

    def __init__(self, lab: Lab, spec: TunnelSpec) -> None:
        links = [f"{SERVER_IPV4}:{FIRST_PORT + number - 1}" for number in spec.lines or ()]
        words = [word for link in links for word in ("--link", link)]
        self._striper = lab.server.start(
            *(*_STRIPER, "--password", PASSWORD, "--address", f"{SERVER_INNER_IPV4}/24", "--mtu", str(INNER_MTU)),
            *words,
            stdout=subprocess.PIPE,
        )
        assert self._striper.stdout is not None
        if self._striper.stdout.readline() != b"ready\n":
            raise LabError("the striping server did not start")
        self._daemon = Tunnel(lab, spec).client
        self._daemon.start()
        self._daemon.wait_links("connected")
        if not wait_until(partial(has_address, lab.client, self.client), START_TIMEOUT):
            raise LabError(f"the client's interface has no address {self.client}")

    def pids(self) -> Mapping[str, int]:
        return {"server": self._striper.pid, "client": self._daemon.child_pid}

    def stop(self) -> None:
        self._daemon.stop()
        if self._striper.poll() is not None:
            raise LabError(f"the striping server has ended: {self._striper.returncode}")
        self._striper.kill()
        self._striper.wait()

    def log(self) -> str:
        return self._daemon.log()


class Raw:
    """One line without a tunnel: shows what the load itself can do."""

    def __init__(self, lab: Lab, number: int) -> None:
        line = lab.line(number)
        self.client, self.server = line.client.ipv4, line.server.ipv4

    def pids(self) -> Mapping[str, int]:
        return {}

    def stop(self) -> None:
        return

    def log(self) -> str:
        return ""
