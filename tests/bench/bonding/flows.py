"""A load between two hosts, seen from outside: starts `load` on both and reads its output."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.support.lab import Host, LabError

from .load import Received

_PATIENCE = 30.0
_LOAD = (sys.executable, "-m", "tests.bench.bonding.load")


class Flows:
    """TCP flows from one host to an address of another."""

    def __init__(
        self, sender: Host, receiver: Host, address: str, *, flows: int, seconds: float, congestion: str
    ) -> None:
        """The flows last `seconds` from the first byte that comes at `address` of `receiver`."""
        many = ("--flows", str(flows))
        self.receiver = receiver.start(
            *_LOAD, "receive", address, *many, "--seconds", str(seconds), stdout=subprocess.PIPE
        )
        port = self._report(self.receiver)["port"]
        # The receiver ends the load. This limit ends it if the receiver's word is lost.
        words = ("send", address, str(port), *many, "--seconds", str(seconds + 5), "--congestion", congestion)
        self.sender = sender.start(*_LOAD, *words, stdout=subprocess.PIPE)

    @staticmethod
    def _report(process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise LabError(f"the load ended without a word: {process.args!r}")
        report: dict[str, Any] = json.loads(line)
        return report

    def wait(self) -> tuple[Received, int]:
        """Waits for the end; returns what came, and how many segments were sent again."""
        received = self._report(self.receiver)
        self.receiver.wait(_PATIENCE)
        again = self._report(self.sender)["again"]
        self.sender.wait(_PATIENCE)
        return Received(**received), again
