"""The command line of `mlvpn-decode`, which prints the MLVPN datagrams of a capture."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

PROGRAM = "mlvpn-decode"


def _complain(text: str) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)
    return 1


def _read_password(path: str) -> bytes:
    """The first line of a file, without its newline. Raises OSError, and ValueError when it is empty."""
    with open(path, "rb") as file:
        password = file.readline().rstrip(b"\r\n")
    if not password:
        raise ValueError("the first line is empty")
    return password


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError
    return port


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Opens and prints the MLVPN datagrams of a pcap or pcapng file. The exit status is 0 if the file"
        " was read to its end and a datagram opened, else 1.",
    )
    parser.add_argument("file", metavar="FILE", help="a capture, as tcpdump and wireshark write it")
    parser.add_argument(
        "--password-file", metavar="FILE", required=True, help="the file whose first line is the password"
    )
    port_help = "read UDP from or to this port (may be repeated); without it, all UDP with a plausible MLVPN header"
    parser.add_argument("--port", metavar="N", type=_port, action="append", default=[], help=port_help)
    parser.add_argument("--cleartext", action="store_true", help="the tunnel has cleartext_data = 1")
    parser.add_argument("--tap", action="store_true", help="the tunnel carries Ethernet frames")
    parser.add_argument("--show", action="store_true", help="print all fields of each packet")
    return parser


def _decode(arguments: argparse.Namespace) -> int:
    try:
        from mlvpnd.capture.decoder import Decoder, clean
        from mlvpnd.capture.reader import DamagedError, read_capture
        from mlvpnd.scapy_layer import derive_key
    except ImportError as error:
        return _complain(f"scapy is needed: {error}; on Debian: apt install python3-scapy")
    try:
        key = derive_key(_read_password(arguments.password_file))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return _complain(f"{arguments.password_file}: {reason}")
    ports = frozenset(arguments.port)
    decoder = Decoder(key, ports=ports, cleartext=arguments.cleartext, tap=arguments.tap, show=arguments.show)
    status = 0
    try:
        for packet in read_capture(arguments.file):
            for line in decoder.lines(packet):
                print(line)
    except DamagedError as error:
        status = _complain(f"{arguments.file}: {clean(str(error))}")
    print(decoder.totals(), flush=True)
    if not decoder.counts:
        return _complain("no MLVPN datagram found") if status == 0 else status
    if not decoder.opened:
        return _complain("nothing opened: is the password right?")
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return _decode(arguments)
    except BrokenPipeError:  # `| head` has seen enough; leave nothing for the interpreter's last flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
