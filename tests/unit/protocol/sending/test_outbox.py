"""What gathers for the links."""

from __future__ import annotations

from mlvpnd.protocol.links.gate import Gate
from mlvpnd.protocol.links.path import Path, PathParameters
from mlvpnd.protocol.sending.outbox import Outbox
from mlvpnd.protocol.wire.constants import HEADER_SIZE
from mlvpnd.protocol.wire.wire import Header, PacketType, parse
from tests.support.hand_peer import ELSEWHERE, FIRST_SEQ, PEER
from tests.support.session_pair import KEY, packet_of

NOW = 7.0
RUN = [(number, packet_of(number)) for number in range(40, 45)]


def make_gate(*, cleartext_data: bool = False) -> Gate:
    return Gate(KEY, is_server=False, layer2=False, cleartext_data=cleartext_data)


def make_path(number: int = 0) -> Path:
    path = Path(number, PathParameters(f"link{number}", 60.0), 100 + number, FIRST_SEQ)
    path.peer = PEER
    path.echo.received(1234, NOW - 0.5)
    return path


def test_a_datagram_is_numbered_sealed_and_counted() -> None:
    gate, path = make_gate(), make_path()
    outbox = Outbox(gate)
    outbox.put(path, PacketType.DATA, packet_of(1), True, 9, PEER, NOW)
    ((number, address, (datagram,)),) = outbox.take()
    header = parse(datagram)
    assert isinstance(header, Header)
    assert (number, address) == (0, PEER)
    assert header[1:3] == (PacketType.DATA, True)
    assert (header.timestamp, header.timestamp_reply) == (7000, 1734)
    assert (header.flow_id, header.seq, header.data_seq) == (100, FIRST_SEQ, 9)
    assert gate.box.open(datagram[HEADER_SIZE:], 100, FIRST_SEQ) == packet_of(1)
    assert (path.next_seq, path.sent_at) == (FIRST_SEQ + 1, NOW)
    assert (path.packets_sent, path.bytes_sent) == (1, len(datagram))
    assert outbox.take() == []


def test_a_burst_is_for_one_link_and_one_address() -> None:
    outbox, paths = Outbox(make_gate()), [make_path(0), make_path(1)]
    for number, address in ((0, PEER), (1, PEER), (0, PEER), (0, ELSEWHERE), (0, PEER)):
        outbox.put(paths[number], PacketType.KEEPALIVE, b"", True, 0, address, NOW)
    counts = [(burst.path, burst.address, len(burst.datagrams)) for burst in outbox.take()]
    assert counts == [(0, PEER, 2), (0, ELSEWHERE, 1), (0, PEER, 1), (1, PEER, 1)]
    assert outbox.take() == []
