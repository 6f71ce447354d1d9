"""mlvpn-protocol(7): its worked example is read from the page and held against the protocol, twice."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from mlvpnd import scapy_layer
from mlvpnd.protocol.wire import wire
from mlvpnd.protocol.wire.box import Box, derive_key
from mlvpnd.protocol.wire.constants import HEADER_SIZE, MAX_FLOWS, REPLAY_WINDOW_SIZE
from mlvpnd.protocol.wire.wire import Header, PacketType
from tests.support.manual import literals, part, render, source
from tests.support.vectors import KEYS, PASSWORD, VECTORS

PAGE = source("mlvpn-protocol.7")
EXAMPLE = part(PAGE, "# EXAMPLE")


@dataclass(frozen=True, slots=True)
class Example:
    """One block of the page."""

    title: str
    fields: dict[str, str]

    @property
    def type(self) -> PacketType:
        return PacketType[self.title.split()[0]]

    @property
    def cleartext(self) -> bool:
        return "cleartext" in self.title

    def octets(self, name: str) -> bytes:
        return bytes.fromhex(self.fields[name])

    def number(self, name: str) -> int:
        return int.from_bytes(self.octets(name))

    @property
    def header(self) -> Header:
        """The header that the numbers of the block give; `len` follows the page's own rule."""
        timestamp, reply = self.fields["timestamp"].split(" reply ")
        return Header(
            length=len(self.octets("plaintext")) + (0 if self.cleartext else 16),
            type=self.type,
            reorder=True,
            timestamp=int(timestamp, 16),
            timestamp_reply=int(reply, 16),
            flow_id=self.number("flow_id"),
            seq=self.number("seq"),
            data_seq=self.number("data_seq"),
        )


def fields(block: str) -> dict[str, str]:
    """`name  hex` lines; a line that begins with blanks continues the line before."""
    lines = re.sub(r"\n +", " ", block).splitlines()
    return {name: " ".join(words) for name, *words in map(str.split, lines)}


EXAMPLES = [
    Example(title, fields(literals(part(EXAMPLE, f"## {title}"))[0]))
    for title in re.findall(r"^## (.+)$", EXAMPLE, re.MULTILINE)
]
KEY = bytes.fromhex(fields(literals(EXAMPLE)[0])["key"])

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)


def test_the_key_is_that_of_the_password() -> None:
    assert f"*{PASSWORD.decode()}*" in EXAMPLE
    assert derive_key(PASSWORD) == KEY == KEYS[PASSWORD] == scapy_layer.derive_key(PASSWORD)


def test_the_page_has_the_vectors() -> None:
    assert [example.octets("datagram") for example in EXAMPLES] == [vector.datagram for vector in VECTORS]
    assert [example.octets("plaintext") for example in EXAMPLES] == [vector.plaintext for vector in VECTORS]


@each_example
def test_the_protocol_makes_it_of_its_parts(example: Example) -> None:
    header = wire.pack(example.header)
    assert header == example.octets("header")
    payload = example.octets("plaintext")
    if not example.cleartext:
        payload = Box(KEY).seal(payload, example.header.flow_id, example.header.seq)
    assert header + payload == example.octets("datagram")


@each_example
def test_the_protocol_takes_it_apart(example: Example) -> None:
    datagram = example.octets("datagram")
    assert wire.parse(datagram) == example.header
    if not example.cleartext:
        opened = Box(KEY).open(datagram[HEADER_SIZE:], example.header.flow_id, example.header.seq)
        assert opened == example.octets("plaintext")


@each_example
def test_the_scapy_layer_says_the_same(example: Example) -> None:
    packet = scapy_layer.MLVPN(example.octets("datagram"))
    for name in ("flow_id", "seq", "data_seq"):
        assert getattr(packet, name) == example.number(name)
    assert packet.type == example.type
    assert scapy_layer.nonce(packet.seq, packet.flow_id) == example.octets("nonce")
    assert scapy_layer.plaintext(packet, KEY, cleartext=example.cleartext) == example.octets("plaintext")


def rows(heading: str) -> list[list[str]]:
    """The cells of a chapter's tables, line by line."""
    cells: list[list[str]] = []
    for line in part(PAGE, heading).splitlines():
        if found := re.match(r"(\[\[|\||:\[|:) +(.*)", line):
            if found[1] in ("[[", "|"):
                cells.append([])
            cells[-1].append(found[2])
    return cells


def test_the_table_of_the_header_adds_up() -> None:
    fields_of_header = [row for row in rows("# HEADER") if len(row) == 4 and row[0].isdecimal()]
    assert [row[2] for row in fields_of_header] == [
        name if name != "type" else "word"
        for name in ("len", "type", "timestamp", "timestamp_reply", "flow_id", "seq", "data_seq")
    ]
    offset = 0
    for at, size, *_ in fields_of_header:
        assert int(at) == offset
        offset += int(size)
    assert offset == HEADER_SIZE


def test_the_table_of_types_has_the_words_as_sent() -> None:
    table = {row[0]: row for row in rows("# HEADER") if row[0] in PacketType.__members__}
    assert set(table) == set(PacketType.__members__)
    for packet_type in PacketType:
        _, number, word, _ = table[packet_type.name]
        packed = wire.pack(Header(16, packet_type, True, 0, 0, 0, 0, 0))
        assert (int(number), bytes.fromhex(word)) == (packet_type, packed[2:4])


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    assert f"{REPLAY_WINDOW_SIZE} or more behind" in PAGE
    assert f"remembers {MAX_FLOWS} flows" in PAGE


def test_it_renders() -> None:
    assert "XSalsa20" in render("mlvpn-protocol.7")
