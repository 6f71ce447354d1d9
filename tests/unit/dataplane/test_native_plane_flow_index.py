"""The native twin's table of flows beside the reference's."""

from __future__ import annotations

import random

from mlvpnd.dataplane._native import lib
from mlvpnd.dataplane.binding.flows import NativeFlowTable
from mlvpnd.dataplane.binding.path import struct_of
from mlvpnd.dataplane.binding.structs import new_address, new_list, packet_of
from mlvpnd.dataplane.native_session import NativeSession
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.session import SessionParameters
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import FIRST_SEQ, PEER, HandPeer
from tests.support.session_pair import KEY


def server(links: int) -> NativeSession:
    session = NativeSession(SessionParameters(KEY, is_server=True), FIRST_SEQ, iter(range(1, 100)).__next__)
    for number in range(links):
        session.add_path(number, PathParameters(f"link{number}", 5.0), FIRST_SEQ)
        session.path_ready(number, None, 0.0)
    return session


def refused(session: NativeSession, number: int, datagram: bytes, now: float) -> list[DropReason]:
    """Why the engine, without Python, refuses a datagram; empty if it does not refuse it."""
    path = session.path(number)
    before = dict(path.drops)
    packet = packet_of(datagram)
    fate = lib.engine_take(session.engine, struct_of(path), packet, new_address(PEER), now, new_list())
    lib.packet_free(packet)
    fresh = [reason for reason, count in path.drops.items() if count > before.get(reason, 0)]
    assert (fate == lib.ENGINE_DROPPED) is bool(fresh)
    return fresh


def test_flows_that_come_and_go_are_known_as_they_are() -> None:
    """A known flow is refused on another link, and an unknown flow is asked about, whatever went before."""
    source = random.Random(1)
    session, now = server(2), 0.0
    known: list[HandPeer] = []
    flows = session.gate.flows
    assert isinstance(flows, NativeFlowTable)
    for step in range(400):
        peer = HandPeer(source.getrandbits(32))
        flows.add(peer.flow_id, "link0", peer.seq, frozenset())
        known.append(peer)
        if step % 3 == 2:
            gone = known.pop(source.randrange(len(known)))
            flows._forget(gone.flow_id)
            assert refused(session, 1, gone.keepalive(), now) == []
        one = source.choice(known)
        assert refused(session, 1, one.keepalive(), now) == [DropReason.WRONG_LINK]
        one.seq += 1
        assert refused(session, 0, one.datagram(PacketType.KEEPALIVE, seq=0), now) == [DropReason.REPLAYED]
    for own in range(1000):
        flows.add_own(1 << 31 | own)
    assert refused(session, 0, HandPeer(1 << 31 | 999).keepalive(), now) == [DropReason.REFLECTED]
    assert refused(session, 1, known[0].keepalive(), now) == [DropReason.WRONG_LINK]
