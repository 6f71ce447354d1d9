"""The datagrams of `tests/vectors/upstream_v1.json`, typed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).parent.parent / "vectors" / "upstream_v1.json"
_DOCUMENT = json.loads(_FILE.read_text())


@dataclass(frozen=True, slots=True)
class Vector:
    """One datagram of C MLVPN, with everything that it was made of."""

    name: str
    type: int
    cleartext: bool
    version: int
    reorder: int
    timestamp: int
    timestamp_reply: int
    flow_id: int
    seq: int
    data_seq: int
    nonce: bytes
    plaintext: bytes
    header: bytes
    datagram: bytes


def _vector(entry: dict[str, str | int]) -> Vector:
    def number(name: str) -> int:
        return int(str(entry[name]), 16)

    def octets(name: str) -> bytes:
        return bytes.fromhex(str(entry[name]))

    return Vector(
        name=str(entry["name"]),
        type=int(entry["type"]),
        cleartext=bool(entry["cleartext"]),
        version=int(entry["version"]),
        reorder=int(entry["reorder"]),
        timestamp=number("timestamp"),
        timestamp_reply=number("timestamp_reply"),
        flow_id=number("flow_id"),
        seq=number("seq"),
        data_seq=number("data_seq"),
        nonce=octets("nonce"),
        plaintext=octets("plaintext"),
        header=octets("header"),
        datagram=octets("datagram"),
    )


PASSWORD: bytes = _DOCUMENT["password"].encode()
"""The password of every vector."""
KEYS: dict[bytes, bytes] = {e["password"].encode(): bytes.fromhex(e["key"]) for e in _DOCUMENT["keys"]}
VECTORS: list[Vector] = [_vector(entry) for entry in _DOCUMENT["vectors"]]
