"""The command line of `mlvpn-decode`, which prints the MLVPN datagrams of a capture."""

from __future__ import annotations

import sys
from collections.abc import Sequence

PROGRAM = "mlvpn-decode"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns the exit status."""
    try:
        from mlvpnd import scapy_layer  # needs scapy, which nothing else of mlvpnd does
    except ImportError as error:
        print(f"{PROGRAM}: scapy is needed: {error}; on Debian: apt install python3-scapy", file=sys.stderr)
        return 1
    return scapy_layer.main(argv, PROGRAM)
