"""MLVPN protocol v1 for scapy, and a decoder of captures: `python -m mlvpnd.scapy_layer decode FILE`.

Written from the description of C MLVPN's wire format alone. It shares no line with `protocol/`, so that a
mistake made there is not made here as well; nothing in the daemon imports it.

    datagram  = MLVPN header (28 bytes) / box or plain packet
    header    = len 2, word 2 (little-endian), timestamp 2, timestamp_reply 2, flow_id 4, seq 8, data_seq 8
    word      = version bits 0-3, type bits 4-9, reorder bit 10, unused bits 11-15
    box       = MAC 16, then the ciphertext (XSalsa20-Poly1305)
"""

from __future__ import annotations

import argparse
import logging
import os
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Any

from nacl.encoding import RawEncoder
from nacl.exceptions import CryptoError
from nacl.hash import blake2b
from nacl.secret import SecretBox
from scapy.config import conf
from scapy.fields import (
    BitEnumField,
    BitField,
    LongField,
    ShortField,
    XIntField,
    XShortField,
    XStrField,
    XStrFixedLenField,
)
from scapy.layers import ppp  # noqa: F401  registers PPP and PPPoE, which DSL lines are captured with
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import PcapNgReader, PcapReader

HEADER_SIZE = 28
MAC_SIZE = 16
NO_TIMESTAMP = 0xFFFF
"""In `timestamp_reply`: none."""

AUTH, AUTH_OK, KEEPALIVE, DATA, DISCONNECT = range(5)
TYPES = {AUTH: "AUTH", AUTH_OK: "AUTH_OK", KEEPALIVE: "KEEPALIVE", DATA: "DATA", DISCONNECT: "DISCONNECT"}
PLAINTEXTS = {AUTH: b"AU", AUTH_OK: b"OK", KEEPALIVE: b"", DISCONNECT: b""}
"""What the box of a control datagram holds."""


class OpenError(ValueError):
    """A datagram that does not open; its text says why."""


class MLVPNBox(Packet):
    """A sealed payload: the MAC comes first."""

    name = "MLVPN box"
    fields_desc = [  # noqa: RUF012  scapy's way to declare a layer
        XStrFixedLenField("mac", bytes(MAC_SIZE), MAC_SIZE),
        XStrField("ciphertext", b""),
    ]


class MLVPN(Packet):
    """The header. `len` left at None is filled in when built; bytes after `len` are Padding.

    Fewer than 28 bytes dissect to Raw. The payload of DATA is Raw, because a datagram does not
    say whether it is boxed; `open_` turns it into a packet.
    """

    name = "MLVPN"
    fields_desc = [  # noqa: RUF012  scapy's way to declare a layer
        ShortField("len", None),
        BitField("unused", 0, 5, tot_size=-2),  # negative: the word that begins here is little-endian
        BitField("reorder", 1, 1),
        BitEnumField("type", DATA, 6, TYPES),
        BitField("version", 1, 4, end_tot_size=-2),
        XShortField("timestamp", 0),
        XShortField("timestamp_reply", NO_TIMESTAMP),
        XIntField("flow_id", 0),
        LongField("seq", 0),
        LongField("data_seq", 0),
    ]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kwargs: Any) -> type[Packet]:
        return Raw if _pkt is not None and len(_pkt) < HEADER_SIZE else cls

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.len is None:
            pkt = struct.pack("!H", len(pay)) + pkt[2:]
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return s[: self.len], s[self.len :]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        return MLVPNBox if self.type != DATA and len(payload) >= MAC_SIZE else Raw

    def mysummary(self) -> str:
        return str(self.sprintf("MLVPN %MLVPN.type% seq %MLVPN.seq% flow %MLVPN.flow_id%"))


def derive_key(password: bytes) -> bytes:
    """The one key of a tunnel: unkeyed BLAKE2b-256 of the password."""
    return blake2b(password, digest_size=32, encoder=RawEncoder)


def nonce(seq: int, flow_id: int) -> bytes:
    """The 24 bytes that seal a datagram: both numbers little-endian, though the header has them big-endian."""
    return struct.pack("<QI12x", seq, flow_id)


def is_boxed(packet: Packet, *, cleartext: bool) -> bool:
    """Whether the payload of such a datagram is a box; `cleartext` is the tunnel's `cleartext_data`."""
    return not (cleartext and packet.type == DATA)


def with_payload(packet: Packet, payload: Packet | bytes, *, length: int | None = None) -> Packet:
    """A copy of `packet`'s header over another payload; `length` None is filled in when built."""
    fields = {field.name: packet.getfieldval(field.name) for field in MLVPN.fields_desc}
    fields["len"] = length
    return MLVPN(**fields) / payload


def seal(packet: Packet, key: bytes, *, cleartext: bool = False) -> Packet:
    """MLVPN over a plain payload -> the datagram as it is sent, `len` included."""
    body = bytes(packet.payload)
    if not is_boxed(packet, cleartext=cleartext):
        return with_payload(packet, body, length=len(body))
    body = SecretBox(key).encrypt(body, nonce(packet.seq, packet.flow_id)).ciphertext
    box = MLVPNBox(mac=body[:MAC_SIZE], ciphertext=body[MAC_SIZE:])
    return with_payload(packet, box, length=len(body))


def plaintext(packet: Packet, key: bytes, *, cleartext: bool = False) -> bytes:
    """What a received datagram carries, without looking into it. Raises OpenError."""
    if not isinstance(packet, MLVPN):
        raise OpenError("shorter than a header")
    body = bytes(packet.payload)
    if packet.len is not None:
        if packet.len > len(body):
            raise OpenError(f"len says {packet.len}, {len(body)} bytes are there")
        body = body[: packet.len]
    if not is_boxed(packet, cleartext=cleartext):
        return body
    if len(body) < MAC_SIZE:
        raise OpenError("shorter than a MAC")
    try:
        return SecretBox(key).decrypt(body, nonce(packet.seq, packet.flow_id))
    except CryptoError:
        raise OpenError("box does not open") from None


def inner_packet(data: bytes, *, tap: bool = False) -> Packet:
    """What DATA carried: Ether, IP or IPv6; Raw when it is none of them."""
    version = data[0] >> 4 if data else 0
    layer: type[Packet] | None = Ether if tap else {4: IP, 6: IPv6}.get(version)
    if layer is not None and data:
        try:
            return layer(data)
        except Exception:  # noqa: S110  scapy's dissectors raise whatever hostile bytes lead them to
            pass
    return Raw(data)


def open_(packet: Packet, key: bytes, *, cleartext: bool = False, tap: bool = False) -> Packet:
    """A received datagram -> its header over what it carried: a packet or frame, or a control's plaintext.

    `len` stays as received. Raises OpenError.
    """
    data = plaintext(packet, key, cleartext=cleartext)
    payload = inner_packet(data, tap=tap) if packet.type == DATA else Raw(data)
    return with_payload(packet, payload, length=packet.len)


# The decoder.

_LARGEST_READ = 1 << 24
"""No sane record of a capture is larger; a hostile length is not worth its memory."""


class DamagedError(Exception):
    """The capture cannot be read, or not to its end."""


class _WatchedFile:
    """A capture's file that notices where a record is cut off, which scapy's readers take for the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.between_records = False
        """Set before a record is read: the file may end here."""
        self.cut = False

    def read(self, size: int) -> bytes:
        data = self._file.read(size) if size <= _LARGEST_READ else b""
        if len(data) < size and (data or not self.between_records):
            self.cut = True
        self.between_records = False
        return data

    def ends_in_a_block(self) -> bool:
        """Whether a pcapng file was read to its end and ends with a whole block, which has its length at both ends."""
        if self._file.read(1):
            return False
        end = self._file.tell()
        self._file.seek(max(end - 4, 0))
        length = self._file.read(4)
        for order in ("little", "big"):
            start = end - int.from_bytes(length, order)  # type: ignore[arg-type]  # a str in the tuple, to mypy
            if start >= 0:
                self._file.seek(start + 4)
                if self._file.read(4) == length:
                    return True
        return False


class _Collector(logging.Handler):
    """Keeps scapy's warnings: its pcapng reader says what is broken there, and then reports a plain end."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def read_capture(path: str) -> Iterator[Packet]:
    """The packets of a pcap or pcapng file, one by one. Raises DamagedError where it cannot go on."""
    logger = logging.getLogger("scapy")
    collector = _Collector()
    propagate, handlers = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [collector]
    try:
        with open(path, "rb") as file:
            watched = _WatchedFile(file)
            reader = PcapReader(watched)  # type: ignore[arg-type]  # read() is all that it calls
            while not collector.lines:  # at first: a kind of link that scapy does not know
                watched.between_records = True
                try:
                    packet = reader.read_packet()
                except EOFError:
                    break
                yield packet
                collector.lines.clear()  # those about packets, not about the file
            # scapy's pcapng reader passes over blocks without packets, so `cut` is about pcap alone.
            whole = watched.ends_in_a_block() if isinstance(reader, PcapNgReader) else not watched.cut
        if collector.lines:
            raise DamagedError(collector.lines[-1])
        if not whole:
            raise DamagedError("the file ends inside a record")
    except DamagedError:
        raise
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from None
    except Exception as error:  # scapy's readers raise whatever a hostile file leads them to
        raise DamagedError(str(error) or type(error).__name__) from None
    finally:
        logger.propagate, logger.handlers = propagate, handlers


def is_plausible(packet: Packet) -> bool:
    """Whether a datagram looks like MLVPN by its header alone."""
    return (
        isinstance(packet, MLVPN)
        and packet.version in (0, 1)
        and packet.unused == 0
        and packet.type in TYPES
        and packet.len >= 1
        and packet.len == len(bytes(packet.payload))
    )


def is_fragment(packet: Packet) -> bool:
    """Whether a captured packet is a part of an IP packet, outside of any tunnel in it."""
    ip = packet.getlayer(IP)
    return (ip is not None and (ip.frag > 0 or bool(ip.flags.MF))) or IPv6ExtHdrFragment in packet


def split_segments(data: bytes) -> list[bytes]:
    """The datagrams of one UDP payload: several when it was captured before UDP segmentation offload cut it.

    They are then of one size, the last perhaps shorter; anything else is taken for a single datagram.
    """
    segments = []
    rest = data
    while rest:
        size = HEADER_SIZE + int.from_bytes(rest[:2], "big")
        segments.append(rest[:size])
        rest = rest[size:]
        alike = len(segments[-1]) == len(segments[0]) or (not rest and len(segments[-1]) < len(segments[0]))
        if not alike or not is_plausible(MLVPN(segments[-1])):
            return [data]
    return segments or [data]


def _clean(text: str) -> str:
    """What a capture says, without what it could do to a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _summary(packet: Packet) -> str:
    try:
        return _clean(packet.summary())
    except Exception:  # as in inner_packet
        return packet.__class__.__name__


def _details(packet: Packet) -> str:
    try:
        lines = (packet.show(dump=True) or "").splitlines()
    except Exception:  # as in inner_packet
        lines = ["(scapy cannot show this packet)"]
    return "\n".join(f"    {_clean(line)}" for line in lines)


def _stamp(seconds: Any) -> str:
    """A capture's time in local time; as a number where the calendar does not reach."""
    whole, microseconds = divmod(int(seconds * 1_000_000), 1_000_000)
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(whole)) + f".{microseconds:06}"
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _ends(udp: Packet) -> str:
    """`source > destination` of a UDP packet, addresses from the IP layer next below."""
    below = udp.underlayer
    while below is not None and not isinstance(below, IP | IPv6):
        below = below.underlayer
    if below is None:
        return f"?:{udp.sport} > ?:{udp.dport}"
    form = "[{}]:{}" if isinstance(below, IPv6) else "{}:{}"
    return f"{form.format(below.src, udp.sport)} > {form.format(below.dst, udp.dport)}"


class Decoder:
    """Turns captured packets into lines, and counts."""

    def __init__(self, key: bytes, *, ports: frozenset[int], cleartext: bool, tap: bool, show: bool) -> None:
        self._key = key
        self._ports = ports
        self._cleartext = cleartext
        self._tap = tap
        self._show = show
        self.counts: Counter[str] = Counter()
        self.opened = 0
        self.not_opened = 0
        self.fragments = 0
        self.other_packets = 0

    def lines(self, packet: Packet) -> Iterator[str]:
        """One line per MLVPN datagram in a captured packet, with `show` followed by its fields."""
        if is_fragment(packet):
            self.fragments += 1
            return
        udp = packet.getlayer(UDP)
        if udp is None or (self._ports and not self._ports & {udp.sport, udp.dport}):
            self.other_packets += 1
            return
        # Not udp.payload, which another layer may have claimed. A length of 0 is an offload's.
        datagrams = split_segments(udp.original[8 : udp.len or None])
        if not self._ports and not is_plausible(MLVPN(datagrams[0])):
            self.other_packets += 1
            return
        for datagram in datagrams:
            yield from self._datagram_lines(f"{_stamp(packet.time)} {_ends(udp)}", datagram)

    def _datagram_lines(self, prefix: str, datagram: bytes) -> Iterator[str]:
        mlvpn: Packet = MLVPN(datagram)
        try:
            mlvpn = open_(mlvpn, self._key, cleartext=self._cleartext, tap=self._tap)
            self.opened += 1
            result = "opened" if is_boxed(mlvpn, cleartext=self._cleartext) else "clear"
            result += f" {self._content(mlvpn)}"
        except OpenError as error:
            self.not_opened += 1
            result = f"not opened: {error}"
        if not isinstance(mlvpn, MLVPN):
            self.counts["malformed"] += 1
            yield f"{prefix} malformed length {len(datagram)} {result}"
            return
        name = TYPES.get(mlvpn.type, f"type-{mlvpn.type}")
        self.counts[name] += 1
        reply = "-" if mlvpn.timestamp_reply == NO_TIMESTAMP else mlvpn.timestamp_reply
        version = "" if mlvpn.version == 1 else f" version {mlvpn.version}"
        yield (
            f"{prefix} {name}{version} seq {mlvpn.seq} data_seq {mlvpn.data_seq} reorder {mlvpn.reorder}"
            f" timestamp {mlvpn.timestamp} reply {reply} flow 0x{mlvpn.flow_id:08x} length {len(datagram)} {result}"
        )
        if self._show:
            yield _details(mlvpn)

    @staticmethod
    def _content(mlvpn: Packet) -> str:
        if mlvpn.type == DATA:
            return _summary(mlvpn.payload)
        data = bytes(mlvpn.payload)
        expected = PLAINTEXTS.get(mlvpn.type)
        if expected is None or data == expected:
            return _clean(ascii(data)[2:-1]) or "(empty)"
        return f"unexpected payload of {len(data)} bytes"

    def totals(self) -> str:
        """The counts, for the end."""
        types = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items())) or "none"
        return (
            f"{sum(self.counts.values())} MLVPN datagrams: {types}; {self.opened} opened, {self.not_opened} not opened;"
            f" {self.fragments} IP fragments, not read; {self.other_packets} other packets"
        )


def read_password(path: str) -> bytes:
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


_DECODES = (
    "Opens and prints the MLVPN datagrams of a pcap or pcapng file. The exit status is 0 if the file was read to its"
    " end and a datagram opened, else 1."
)


def _parser(program: str) -> argparse.ArgumentParser:
    """That of the module with the verb `decode`, or of `program`, which does only this."""
    if program:
        parser = decode = argparse.ArgumentParser(prog=program, description=_DECODES)
    else:
        parser = argparse.ArgumentParser(prog="python -m mlvpnd.scapy_layer", description="MLVPN protocol v1 in scapy.")
        decode = parser.add_subparsers(required=True).add_parser(
            "decode", help="print the MLVPN datagrams of a capture", description=_DECODES
        )
    decode.add_argument("file", metavar="FILE", help="a capture, as tcpdump and wireshark write it")
    decode.add_argument(
        "--password-file", metavar="FILE", required=True, help="the file whose first line is the password"
    )
    port_help = "read UDP from or to this port (may be repeated); without it, all UDP with a plausible MLVPN header"
    decode.add_argument("--port", metavar="N", type=_port, action="append", default=[], help=port_help)
    decode.add_argument("--cleartext", action="store_true", help="the tunnel has cleartext_data = 1")
    decode.add_argument("--tap", action="store_true", help="the tunnel carries Ethernet frames")
    decode.add_argument("--show", action="store_true", help="print all fields of each packet")
    return parser


def _decode(arguments: argparse.Namespace, program: str) -> int:
    def complain(text: str) -> int:
        print(f"{program}: {text}", file=sys.stderr)
        return 1

    try:
        key = derive_key(read_password(arguments.password_file))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return complain(f"{arguments.password_file}: {reason}")
    ports = frozenset(arguments.port)
    decoder = Decoder(key, ports=ports, cleartext=arguments.cleartext, tap=arguments.tap, show=arguments.show)
    status = 0
    try:
        for packet in read_capture(arguments.file):
            for line in decoder.lines(packet):
                print(line)
    except DamagedError as error:
        status = complain(f"{arguments.file}: {_clean(str(error))}")
    print(decoder.totals(), flush=True)
    if not decoder.counts:
        return complain("no MLVPN datagram found") if status == 0 else status
    if not decoder.opened:
        return complain("nothing opened: is the password right?")
    return status


def main(argv: Sequence[str] | None = None, program: str = "") -> int:
    """The command line, of the module or of a program that only decodes; returns the exit status."""
    arguments = _parser(program).parse_args(argv)
    conf.debug_dissector = False  # hostile bytes become Raw, whatever the user's scapy is set to
    conf.warning_threshold = 0  # no warning of a reader is dropped for being frequent
    try:
        return _decode(arguments, program or "mlvpnd.scapy_layer")
    except BrokenPipeError:  # `| head` has seen enough; leave nothing for the interpreter's last flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
