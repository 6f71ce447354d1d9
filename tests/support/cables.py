"""Two hosts joined by bare veths: as fast as the machine is, for benches of the data plane.

    client 198.18.1.2/24 adsl1  ======  wan1 198.18.1.1/24 server

Needs root. At the end of the `with` block everything is removed, and also when this process is killed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from .lab import Host, start_janitor

MTU = 1500
QUEUE = 1000
"""Packets that may wait at each interface, `txqueuelen`."""
OFFLOADS = ("gso", "gro", "tso", "tx-udp-segmentation")
"""Features that make one packet of many, in ethtool's words."""

_numbers = itertools.count(1)


class Cables:
    """A context manager: inside, the hosts exist and the cables are plugged in."""

    def __init__(self, count: int, *, offloads: bool = True) -> None:
        """`offloads` False: every packet passes by itself, as with a card or driver that can do no more."""
        self.count = count
        self._offloads = offloads
        name = f"mlvpnd-{os.getpid()}-cables{next(_numbers)}"
        self.client = Host(f"{name}-client")
        self.server = Host(f"{name}-server")
        self._cleanup = contextlib.ExitStack()

    @staticmethod
    def client_address(number: int) -> str:
        """The address at the client's end of a cable. Cables are numbered from 1."""
        return f"198.18.{number}.2"

    @staticmethod
    def server_address(number: int) -> str:
        """The address at the server's end of a cable."""
        return f"198.18.{number}.1"

    def __enter__(self) -> Self:
        # In /run, because the helper trusts no file below /tmp.
        self.directory = Path(tempfile.mkdtemp(prefix="mlvpnd-cables-", dir="/run"))
        try:
            self.directory.chmod(0o711)
            self._cleanup.callback(start_janitor(self.directory, self.client, self.server))
            for host in (self.client, self.server):
                host.create()
                self._cleanup.callback(host.end_processes)
                # As in a lab: a transfer must not depend on the one before.
                host.sysctl(ipv6__conf__all__accept_dad=0, ipv4__tcp_no_metrics_save=1)
            for number in range(1, self.count + 1):
                self._plug(number)
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _plug(self, number: int) -> None:
        ends = (
            (self.client, f"adsl{number}", self.client_address(number)),
            (self.server, f"wan{number}", self.server_address(number)),
        )
        self.client.ip(f"link add adsl{number} type veth peer name wan{number} netns {self.server.name}")
        for host, device, address in ends:
            host.ip(
                f"link set {device} mtu {MTU} txqueuelen {QUEUE} up",
                f"addr add {address}/24 dev {device}",
            )
            if not self._offloads:
                host.run("ethtool", "-K", device, *(word for name in OFFLOADS for word in (name, "off")))
