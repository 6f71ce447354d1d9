"""A session that takes runs and one that takes each datagram by itself decide the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.session import Session
from mlvpnd.protocol.wire.constants import NO_TIMESTAMP
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import ELSEWHERE, PEER, HandPeer, several
from tests.support.session_pair import packet_of

LINKS = PathParameters("adsl", 5.0), PathParameters("wifi", 5.0)
NEXT, SKIP, AGAIN, OUT_OF_ORDER, FORGED, EMPTY, UNNUMBERED, KEEPALIVE, MOVED = range(9)
kinds = st.one_of(st.just(NEXT), st.integers(NEXT, MOVED))
datagrams = st.tuples(kinds, st.integers(0, 3), st.sampled_from([NO_TIMESTAMP, NO_TIMESTAMP, 20]))
bursts = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0.0, 0.5) | st.just(4.0), st.lists(datagrams, min_size=1, max_size=20)),
    max_size=12,
)


def inside(value: object, seen: frozenset[int] = frozenset()) -> Any:
    """All that an object of ours holds, to be compared."""
    if type(value).__module__.startswith("mlvpnd.") and not hasattr(value, "value") and id(value) not in seen:
        names = [name for base in type(value).__mro__ for name in getattr(base, "__slots__", ())]
        names += list(getattr(value, "__dict__", ()))
        return {name: inside(getattr(value, name), seen | {id(value)}) for name in names}
    if isinstance(value, bytes | bytearray | str | int | float | None):
        return value
    return [inside(item, seen) for item in value] if isinstance(value, Sequence) else repr(value)


def state(session: Session) -> Any:
    return [inside(path) for path in session.paths], inside(session.reorder), session.get_timer(), session.carrying


class Line:
    """What a peer sends on a link: the same for both sessions."""

    def __init__(self, peer: HandPeer) -> None:
        self.peer = peer
        self.sent = [peer.keepalive()]

    def datagram(self, kind: int, count: int, stamps: tuple[int, int], numbers: list[int]) -> bytes:
        peer = self.peer
        if kind == AGAIN:
            return self.sent[-1 - count % len(self.sent)]
        if kind == KEEPALIVE:
            return peer.keepalive()
        if kind in (SKIP, FORGED):
            peer.seq += count * (kind == SKIP)
        number = numbers[0] + (count if kind == OUT_OF_ORDER else 0)
        numbers[0] = number + 1
        packet = b"none" if kind == EMPTY else packet_of(number)
        raw = peer.datagram(
            PacketType.DATA,
            packet,
            reorder=kind != UNNUMBERED,
            data_seq=number,
            timestamp=stamps[0],
            timestamp_reply=stamps[1],
        )
        self.sent.append(raw)
        return raw[:-1] + bytes([raw[-1] ^ 1]) if kind == FORGED else raw


@given(bursts, st.sampled_from([0, 4]))
def test_runs_change_no_decision(bursts: list[tuple[int, float, list[tuple[int, int, int]]]], size: int) -> None:
    (quick, peers), (plain, _) = several(*LINKS, reorder_size=size), several(*LINKS, reorder_size=size)
    with mock.patch.object(plain.gate, "admit_run", return_value=None):
        lines, numbers, now = [Line(peer) for peer in peers], [1], 0.1
        for link, pause, items in bursts:
            now += pause
            burst = [
                (
                    lines[link].datagram(kind, count, (int(now * 1000) + count & 0x7FFF, reply), numbers),
                    ELSEWHERE if kind == MOVED else PEER,
                )
                for kind, count, reply in items
            ]
            for session in (quick, plain):
                session.handle_timer(now)
            assert quick.receive(link, burst, now) == plain.receive(link, burst, now)
            assert state(quick) == state(plain)
            assert quick.events() == plain.events()
            assert quick.transmits() == plain.transmits()
