"""The stream of messages, whole and broken."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.bus import lib
from mlvpnd.bus.message import MAX_HEADER_SIZE, Kind, Message, Splitter, StreamError

CALL = Message(
    kind=Kind.CALL,
    flags=6,
    serial=7,
    path="/a/b",
    interface="a.b",
    member="Set",
    destination="a.b",
    signature="ssv",
    body=["x", "yz", lib.Variant("a{sv}", {"k": lib.Variant("t", 5)})],
)
ERROR = Message(kind=Kind.ERROR, serial=8, error_name="a.b", reply_serial=9, signature="s", body=["x" * 100])


def call(**fields: Any) -> bytes:
    return lib.encode(Message(kind=Kind.CALL, serial=1, **({"path": "/", "member": "M"} | fields)))


def seen(message: Message) -> tuple[Any, ...]:
    return (message.kind, message.serial, message.path, message.member, message.error_name, message.reply_serial)


@given(st.lists(st.integers(1, 700), min_size=1))
def test_pieces_of_any_size_are_the_same_messages(sizes: list[int]) -> None:
    stream = lib.encode(CALL) + lib.encode(ERROR) + call(member="N")
    splitter, found, at = Splitter(4096), [], 0
    while at < len(stream):
        for size in sizes:
            found += splitter.feed(stream[at : at + size])
            at += size
    assert [seen(message) for message in found] == [
        (1, 7, "/a/b", "Set", "", 0),
        (3, 8, "", "", "a.b", 9),
        (1, 1, "/", "N", "", 0),
    ]
    assert (found[0].flags, found[0].interface, found[0].destination, found[0].signature) == (6, "a.b", "a.b", "ssv")
    assert found[0].variant_signature() == "a{sv}"
    assert lib.plain(lib.decode(found[0])) == ["x", "yz", {"k": 5}]
    assert lib.decode(found[1]) == ["x" * 100]


def test_the_other_byte_order() -> None:
    fields = b"\x01\x01o\x00" + struct.pack(">I", 1) + b"/\x00" + b"\x00" * 6
    fields += b"\x03\x01s\x00" + struct.pack(">I", 2) + b"Hi\x00" + b"\x00" * 5
    fields += b"\x08\x01g\x00\x01u\x00"
    header = b"B\x01\x00\x01" + struct.pack(">III", 4, 77, len(fields)) + fields
    stream = header + b"\x00" * (-len(header) % 8) + struct.pack(">I", 258)
    (message,) = Splitter(4096).feed(stream)
    assert (message.serial, message.path, message.member, message.signature) == (77, "/", "Hi", "u")
    assert lib.decode(message) == [258]


def test_a_large_body_is_skipped_and_its_header_kept() -> None:
    large = call(signature="ay", body=[b"x" * 5000])
    splitter = Splitter(4096)
    found = []
    for at in range(0, len(large), 1000):
        found += splitter.feed(large[at : at + 1000])
        assert len(splitter._buffer) < 1200
    found += splitter.feed(call(member="N"))
    assert [(message.member, message.raw is None) for message in found] == [("M", True), ("N", False)]
    with pytest.raises(lib.DecodeError):
        lib.decode(found[0])


def test_a_large_header_is_skipped() -> None:
    splitter = Splitter(4096)
    stream = call(path="/x" * MAX_HEADER_SIZE) + call(member="N")
    found = [message for at in range(0, len(stream), 999) for message in splitter.feed(stream[at : at + 999])]
    assert [message.member for message in found] == ["N"]
    assert splitter.dropped == 1


@pytest.mark.parametrize(
    ("at", "byte"),
    [
        pytest.param(18, ord("v"), id="a header field of a type that none has"),
        pytest.param(24, 0xFF, id="a text that is not UTF-8"),
        pytest.param(17, 200, id="a type longer than the message"),
    ],
)
def test_a_header_that_makes_no_sense_costs_its_message_only(at: int, byte: int) -> None:
    broken = bytearray(call(path="/abc"))
    broken[at] = byte
    splitter = Splitter(4096)
    found = splitter.feed(bytes(broken) + call(member="N"))
    assert [message.member for message in found] == ["N"]
    assert splitter.dropped == 1


def test_unknown_fields_and_types_are_kept_apart() -> None:
    odd = bytearray(call(interface="a.b"))
    odd[1] = 77
    odd[odd.index(b"\x02\x01s")] = 200
    (message,) = Splitter(4096).feed(bytes(odd))
    assert (message.kind, message.interface, message.member) == (77, "", "M")


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"l\x01\x00\x02" + bytes(12),
        b"l\x01\x00\x01" + struct.pack("<III", 1 << 27, 1, 0),
        b"l\x01\x00\x01" + struct.pack("<III", 0, 1, 0xFFFFFFFF),
    ],
)
def test_what_is_no_stream_is_an_error(stream: bytes) -> None:
    with pytest.raises(StreamError):
        Splitter(4096).feed(stream)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_are_messages_or_an_error(noise: bytes, at: int) -> None:
    stream = bytearray(lib.encode(CALL) * 2)
    stream[at : at + len(noise)] = noise
    splitter = Splitter(64)
    try:
        found = splitter.feed(bytes(stream))
    except StreamError:
        return
    for message in found:
        assert message.raw is None or len(message.raw) <= MAX_HEADER_SIZE + 64


def test_only_a_body_with_a_variant_has_one() -> None:
    (message,) = Splitter(4096).feed(call(signature="s", body=["x"]))
    with pytest.raises(ValueError, match="variant"):
        message.variant_signature()
