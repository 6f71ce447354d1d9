"""Captured packets to lines: one for each MLVPN datagram in them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Packet

from mlvpnd.scapy_layer import (
    DATA,
    HEADER_SIZE,
    MLVPN,
    NO_TIMESTAMP,
    PLAINTEXTS,
    TYPES,
    OpenError,
    is_boxed,
    is_plausible,
    open_,
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


def clean(text: str) -> str:
    """What a capture says, without what it could do to a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _summary(packet: Packet) -> str:
    try:
        return clean(packet.summary())
    except Exception:  # as in inner_packet
        return packet.__class__.__name__


def _details(packet: Packet) -> str:
    try:
        lines = (packet.show(dump=True) or "").splitlines()
    except Exception:  # as in inner_packet
        lines = ["(scapy cannot show this packet)"]
    return "\n".join(f"    {clean(line)}" for line in lines)


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
            return clean(ascii(data)[2:-1]) or "(empty)"
        return f"unexpected payload of {len(data)} bytes"

    def totals(self) -> str:
        """The counts, for the end."""
        types = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items())) or "none"
        return (
            f"{sum(self.counts.values())} MLVPN datagrams: {types}; {self.opened} opened, {self.not_opened} not opened;"
            f" {self.fragments} IP fragments, not read; {self.other_packets} other packets"
        )
