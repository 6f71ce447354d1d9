"""Coverage-guided fuzzing of a session's receiving side with atheris (`pip install atheris`, no part of the dev extra).

`python -m tests.fuzz.fuzz_datagram -max_total_time=600 [CORPUS_DIRECTORY]`; the options are libFuzzer's. The run ends
with the first bad input, and saves it. A bad input raises, or has an effect that only the password may have: it changes
a session, or draws something from it.

An input is a byte of choices (role, clear or boxed, tun or tap, key known or not, up or down) and a datagram. If the
key is known, the payload is sealed here, so that the fuzzer also reaches the code behind the box.
"""

from __future__ import annotations

import importlib
import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.vectors import PASSWORD, VECTORS

_MAX_LENGTH = 1501
_INPUT_TIMEOUT = 5
"""Seconds for one input. A datagram takes some microseconds."""
_PEER = ("192.0.2.1", 5000)
_STRANGER = ("203.0.113.66", 6666)
_SERVER, _CLEAR, _LAYER2, _SEALED, _UP, _FROM_PEER = (1 << bit for bit in range(6))


def main() -> None:
    """Runs until libFuzzer's own options stop it."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["mlvpnd.protocol"]):
        for module in ("wire.box", "links.path", "links.session", "wire.wire"):
            importlib.import_module(f"mlvpnd.protocol.{module}")

    from mlvpnd.protocol.links.path import PathParameters
    from mlvpnd.protocol.links.session import Session, SessionParameters
    from mlvpnd.protocol.wire.box import Box, derive_key
    from mlvpnd.protocol.wire.constants import HEADER_SIZE, MAC_SIZE
    from mlvpnd.protocol.wire.wire import Header, PacketType, pack, parse

    known, unknown = derive_key(PASSWORD), derive_key(b"none of the seeds")
    living = VECTORS[0].flow_id

    def resealed(datagram: bytes) -> bytes:
        """The same header and payload, with the payload boxed."""
        header = parse(datagram)
        if not isinstance(header, Header):
            return datagram
        payload = Box(known).seal(datagram[HEADER_SIZE:], header.flow_id, header.seq)[:0xFFFF]
        return pack(header._replace(length=len(payload))) + payload

    def session_of(choices: int) -> Session:
        is_server = bool(choices & _SERVER)
        key = known if choices & _SEALED else unknown
        parameters = SessionParameters(
            key,
            is_server=is_server,
            cleartext_data=bool(choices & _CLEAR),
            layer2=bool(choices & _LAYER2),
            reorder_size=8,
        )
        session = Session(parameters, 1 << 40, itertools.count(1).__next__)
        session.add_path(0, PathParameters("adsl", 5.0), 1 << 40)
        session.path_ready(0, None if is_server else _PEER, 0.0)
        session.handle_timer(0.0)
        if choices & _UP:
            packet_type, plaintext = (PacketType.AUTH, b"AU") if is_server else (PacketType.AUTH_OK, b"OK")
            payload = Box(key).seal(plaintext, living, 0)
            header = Header(len(payload), packet_type, True, 0, 0xFFFF, living, 0, 0)
            session.receive(0, [(pack(header) + payload, _PEER)], 0.0)
        session.transmits()
        session.events()
        return session

    def one_input(data: bytes) -> None:
        if not data:
            return
        choices, datagram = data[0], data[1:]
        sealed = bool(choices & _SEALED)
        if sealed:
            datagram = resealed(datagram)
        session = session_of(choices)
        path = session.path(0)
        before = path.status, path.peer, path.flow, path.heard_at
        source = _PEER if choices & _FROM_PEER else _STRANGER
        packets = session.receive(0, [(datagram, source), (datagram, source)], 1.0)
        answers, events = session.transmits(), session.events()
        if len(packets) > 1 or len(answers) > 2:
            raise AssertionError("one datagram, counted twice")
        if not sealed:
            if answers or events or (path.status, path.peer, path.flow, path.heard_at) != before:
                raise AssertionError("moved by somebody without the key")
            if packets and not (choices & _CLEAR and choices & _UP and choices & _FROM_PEER):
                raise AssertionError("delivered without the key")
        if any(len(packet) > len(datagram) - HEADER_SIZE for packet in packets):
            raise AssertionError("delivered more than came")
        for now in (1.0, 2.0, 3.0, 30.0, 30.0):
            session.handle_timer(now)
            due = session.get_timer()
            if due is not None and not due > now - 1.0:
                raise AssertionError("a timer that is never done")
        session.close(31.0)

    with tempfile.TemporaryDirectory() as seeds:
        for number, (vector, choices) in enumerate(itertools.product(VECTORS, range(0, 64, 5))):
            opened = vector.header + vector.plaintext if choices & _SEALED else vector.datagram
            length = (
                (len(opened) - HEADER_SIZE).to_bytes(2, "big") if len(opened) > HEADER_SIZE else MAC_SIZE.to_bytes(2)
            )
            Path(seeds, str(number)).write_bytes(bytes([choices]) + length + opened[2:])
        arguments = [f"-max_len={_MAX_LENGTH}", f"-timeout={_INPUT_TIMEOUT}", *sys.argv[1:]]
        if all(argument.startswith("-") for argument in arguments):
            arguments.append(seeds)
        else:
            arguments.insert(0, f"-seed_inputs={','.join(str(path) for path in Path(seeds).iterdir())}")
        atheris.Setup([sys.argv[0], *arguments], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
