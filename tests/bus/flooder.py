"""Run as `python -m tests.bus.flooder ADDRESS COUNT RATE`: an ordinary user's program that makes odd calls.

It sends COUNT calls, however long this takes: first BURST calls at once, then RATE a second if the machine can do it.
It prints a line when it begins. At the end it prints how many calls it sent and how many bytes came. It exits with 1
if the bus ended the connection.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Iterator
from typing import Any

from mlvpnd.bus import lib, names
from mlvpnd.bus.connection import _authenticate
from mlvpnd.bus.message import NO_REPLY_EXPECTED, Kind, Message
from mlvpnd.bus.turns import FLOOD_RATE

from .served import DESTINATION, TUNNEL

NOBODY = 65534
PER_TURN = 20
ODD_FLAGS = (0, 6, 0x80, 0xFE)
"""Some of the flags want an answer; all are allowed."""
BURST = 2 * FLOOD_RATE
"""Calls written in one piece, before the service has time for any. They are more than it serves in a second, or keeps.

They want no answer. The bus passes on at most 128 calls of one connection while their answers are outstanding.
"""


def odd_calls() -> list[Message]:
    """Calls that no program should make, and calls that cost the most."""

    def call(path: str, interface: str, member: str, signature: str = "", *body: Any, flags: int = 0) -> Message:
        return Message(
            kind=Kind.CALL,
            destination=DESTINATION,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
            flags=flags,
        )

    properties = names.PROPERTIES_INTERFACE
    return [
        call(TUNNEL, "org.mlvpn1.Tunnel", "Describe"),
        call(TUNNEL, "", "Describe", flags=NO_REPLY_EXPECTED),
        call(TUNNEL, "org.mlvpn1.Tunnel", "Nothing"),
        call("/x" * 1000, "org.mlvpn1.Tunnel", "Describe"),
        call("/x" * 4000, "org.mlvpn1.Tunnel", "Describe", flags=NO_REPLY_EXPECTED),
        call(TUNNEL, properties, "GetAll", "s", ""),
        call(TUNNEL, properties, "Get", "a{sv}", {"x": lib.Variant("av", [])}),
        call(TUNNEL, properties, "Set", "ssv", "", "Name", lib.Variant("a(ayt)", [[b"x", 1]])),
        call(TUNNEL, properties, "Set", "ssv", "", "Name", lib.Variant("s", "x")),
        call(TUNNEL, "org.mlvpn1.Tunnel", "Reload"),
        call(TUNNEL, "org.mlvpn1.Tunnel", "GetLink", "au", list(range(1000))),
        call("/org/mlvpn1", names.OBJECT_MANAGER_INTERFACE, "GetManagedObjects"),
        call("/", names.INTROSPECTABLE_INTERFACE, "Introspect"),
    ]


def encoded() -> Iterator[bytes]:
    """All odd calls in turn, with each of the flags, and with types that differ each time."""
    for turn, flags in zip(itertools.count(2), itertools.cycle(ODD_FLAGS), strict=False):
        for one in odd_calls():
            data = bytearray(lib.encode(one._replace(serial=turn)))
            data[2] |= flags
            yield bytes(data)
        struct = "(" + "".join("ybnqiuxtds"[int(digit)] for digit in str(turn)) + ")"
        fresh = Message(
            kind=Kind.CALL,
            serial=turn,
            destination=DESTINATION,
            path=TUNNEL,
            interface=names.PROPERTIES_INTERFACE,
            member="Set",
            signature=f"ssa{struct}",
            body=["", "Name", []],
        )
        yield lib.encode(fresh)


async def flood(address: str, count: int, rate: float) -> int:
    # Encoded before it begins: on a busy machine, the time to encode would set the rate.
    calls = list(itertools.islice(encoded(), count))
    quiet = lib.encode(odd_calls()[1]._replace(serial=2))
    reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:path="))
    await _authenticate(reader, writer)
    writer.write(lib.encode(Message(kind=Kind.CALL, serial=1, destination=names.BUS_NAME, path="/", member="Hello")))
    received = 0

    async def receive() -> None:
        nonlocal received
        while data := await reader.read(65536):
            received += len(data)

    receiving = asyncio.create_task(receive())
    print("begins", flush=True)
    loop = asyncio.get_running_loop()
    begin, sent = loop.time(), BURST
    writer.write(quiet * BURST)
    while sent < BURST + count and not receiving.done():
        turn = calls[sent - BURST : sent - BURST + PER_TURN]
        writer.writelines(turn)
        sent += len(turn)
        await writer.drain()
        await asyncio.sleep(max(0.0, begin + sent / rate - loop.time()))
    ended = receiving.done()
    writer.close()
    receiving.cancel()
    print(f"{sent} calls sent, {received} bytes received")
    return 1 if ended else 0


if __name__ == "__main__":
    if os.geteuid() == 0:
        os.setuid(NOBODY)  # not earlier: perhaps only root can read the modules
    sys.exit(asyncio.run(flood(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
