"""A peer by hand: it seals what a test tells it to, and opens what a session sends. Its only state is its numbers.

There are also sessions for it to talk to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mlvpnd.protocol.links.events import Event, TierChanged
from mlvpnd.protocol.links.path import Address, PathParameters
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.wire import wire
from mlvpnd.protocol.wire.box import Box
from mlvpnd.protocol.wire.constants import HEADER_SIZE, NO_TIMESTAMP
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import Header, PacketType

from .session_pair import KEY

FIRST_SEQ = 5_000_000
PEER: Address = ("192.0.2.1", 5000)
ELSEWHERE: Address = ("203.0.113.66", 6666)


class Heard(NamedTuple):
    """An opened datagram of the session."""

    type: PacketType
    plaintext: bytes
    header: Header
    address: Address
    path: int
    datagram: bytes


class HandPeer:
    """The far end of one link, with one flow_id."""

    def __init__(self, flow_id: int = 0xC0FFEE, seq: int = 1000, *, key: bytes = KEY) -> None:
        self.flow_id = flow_id
        self.seq = seq
        self.data_seq = 1
        self._box = Box(key)

    def datagram(
        self,
        packet_type: PacketType,
        plaintext: bytes = b"",
        *,
        seq: int | None = None,
        clear: bool = False,
        reorder: bool = True,
        data_seq: int = 0,
        timestamp: int = 0,
        timestamp_reply: int = NO_TIMESTAMP,
    ) -> bytes:
        """One datagram, with the next number unless another is given."""
        if seq is None:
            seq, self.seq = self.seq, self.seq + 1
        payload = plaintext if clear else self._box.seal(plaintext, self.flow_id, seq)
        header = Header(len(payload), packet_type, reorder, timestamp, timestamp_reply, self.flow_id, seq, data_seq)
        return wire.pack(header) + payload

    def auth(self) -> bytes:
        return self.datagram(PacketType.AUTH, b"AU")

    def joins(self) -> list[bytes]:
        """AUTH, and the KEEPALIVE that shows that the peer has the answer."""
        return [self.auth(), self.keepalive()]

    def auth_ok(self) -> bytes:
        return self.datagram(PacketType.AUTH_OK, b"OK")

    def keepalive(self) -> bytes:
        return self.datagram(PacketType.KEEPALIVE)

    def disconnect(self) -> bytes:
        return self.datagram(PacketType.DISCONNECT)

    def data(self, packet: bytes, *, clear: bool = False) -> bytes:
        """DATA with the next `data_seq`."""
        data_seq, self.data_seq = self.data_seq, self.data_seq + 1
        return self.datagram(PacketType.DATA, packet, data_seq=data_seq, clear=clear)


def with_type(datagram: bytes, packet_type: PacketType) -> bytes:
    """The same datagram with another type in its header. Nothing protects the type."""
    header = wire.parse(datagram)
    assert isinstance(header, Header)
    return wire.pack(header._replace(type=packet_type)) + datagram[HEADER_SIZE:]


def heard(session: Session, *, key: bytes = KEY) -> list[Heard]:
    """Everything that the session wants to send now, opened; clear DATA as it is."""
    out: list[Heard] = []
    box = Box(key)
    for transmit in session.transmits():
        for datagram in transmit.datagrams:
            header = wire.parse(datagram)
            assert isinstance(header, Header)
            payload = datagram[HEADER_SIZE:]
            opened = box.open(payload, header.flow_id, header.seq)
            plaintext = payload if opened is None else opened
            out.append(Heard(PacketType(header.type), plaintext, header, transmit.address, transmit.path, datagram))
    return out


def types(session: Session) -> list[PacketType]:
    """The types of everything that the session wants to send now."""
    return [one.type for one in heard(session)]


def dropped(session: Session, number: int = 0) -> dict[DropReason, int]:
    """The drops of a link so far, by reason."""
    return dict(session.path(number).drops)


def hear(
    session: Session, datagrams: bytes | Sequence[bytes], now: float, *, source: Address = PEER, number: int = 0
) -> list[bytes]:
    """The session receives datagrams from `source`."""
    burst = [datagrams] if isinstance(datagrams, bytes) else datagrams
    return session.receive(number, [(datagram, source) for datagram in burst], now)


def flow_ids() -> Iterator[int]:
    yield from range(0xA0, 0xFFFF)


def make_session(
    *links: PathParameters,
    is_server: bool,
    reorder_size: int = 0,
    cleartext_data: bool = False,
    layer2: bool = False,
    now: float = 0.0,
) -> Session:
    """A session whose links all have their sockets. By default it has one link, `adsl`, with a timeout of 5 s."""
    parameters = SessionParameters(
        KEY, is_server=is_server, reorder_size=reorder_size, cleartext_data=cleartext_data, layer2=layer2
    )
    session = Session(parameters, FIRST_SEQ, flow_ids().__next__)
    for number, link in enumerate(links or [PathParameters("adsl", 5.0)]):
        session.add_path(number, link, FIRST_SEQ)
        session.path_ready(number, None if is_server else PEER, now)
    return session


def server_up(*links: PathParameters, **options: Any) -> tuple[Session, HandPeer]:
    """A server that a client has joined at 0.0 on link 0. Its answers are taken already."""
    session = make_session(*links, is_server=True, **options)
    peer = HandPeer()
    hear(session, peer.joins(), 0.0)
    assert types(session) == [PacketType.AUTH_OK, PacketType.KEEPALIVE]
    assert session.path(0).up
    session.events()
    return session, peer


def client_up(*links: PathParameters, **options: Any) -> tuple[Session, HandPeer]:
    """A client that has joined a server at 0.0 on link 0."""
    session = make_session(*links, is_server=False, **options)
    session.handle_timer(0.0)
    peer = HandPeer()
    hear(session, peer.auth_ok(), 0.0)
    assert session.path(0).up
    session.transmits()
    session.events()
    return session, peer


def several(*links: PathParameters, reorder_size: int = 0) -> tuple[Session, list[HandPeer]]:
    """A server with a peer on each link."""
    session = make_session(*links, is_server=True, reorder_size=reorder_size)
    peers = [HandPeer(0xB0 + number) for number in range(len(links))]
    for number, peer in enumerate(peers):
        hear(session, peer.joins(), 0.0, number=number)
    session.transmits()
    session.events()
    return session, peers


def run_timers(session: Session, start: float, end: float, step: float = 0.05) -> list[tuple[float, PacketType]]:
    """Fires the timer whenever it is due; returns the times and types of the datagrams sent."""
    sent = []
    for tick in range(round((end - start) / step) + 1):
        now = round(start + tick * step, 3)
        while (due := session.get_timer()) is not None and due <= now:
            session.handle_timer(now)
        sent += [(now, packet_type) for packet_type in types(session)]
    return sent


def link_events(session: Session) -> list[Event]:
    """Takes the events of links."""
    return [event for event in session.events() if not isinstance(event, TierChanged)]
