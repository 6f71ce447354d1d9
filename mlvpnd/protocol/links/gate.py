"""What may come in: every check between a datagram and the session, cheap ones first.

1 length, version, type · 2 not our own flow_id · 3 its flow lives on this link, or AUTH or AUTH_OK bring it here ·
4 a look into the replay window · 5 the box opens · 6 the plaintext is what the type carries · 7 the flow is known, or
introduced by AUTH or AUTH_OK · 8 the window moves. Up to 7 nothing has changed. A datagram that fails is dropped and
counted. It is never answered, except a stranger at 7 (`handshake.py`).

Clear DATA leaves after 3. It proves nothing, so it moves nothing. It counts once, and only on an up link, from the
peer's current flow and address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mlvpnd.protocol.wire import inner, wire
from mlvpnd.protocol.wire.box import Box
from mlvpnd.protocol.wire.constants import HEADER_SIZE, SILENCE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.replay import FlowTable, PeerFlow
from mlvpnd.protocol.wire.wire import CONTROL, Header, Introduces, PacketType

from .path import Address, Path


class Admitted(NamedTuple):
    """A datagram of a known flow, seen for the first time."""

    header: Header
    packet: bytes
    """The inner packet of DATA; the plaintext of other types."""
    flow: PeerFlow
    newest: bool
    """No packet of a higher number came before it: only then may it move the address or the session."""
    authentic: bool
    """False for clear DATA."""


class Stranger(NamedTuple):
    """An authentic datagram of a session that this process does not know."""

    header: Header


class Gate:
    """Checks datagrams under one key; owns the table of flows."""

    def __init__(
        self,
        key: bytes,
        *,
        is_server: bool,
        layer2: bool,
        cleartext_data: bool,
    ) -> None:
        self.box = self._make_box(key)
        self.is_server = is_server
        self._layer2 = layer2
        self.cleartext_data = cleartext_data
        self.flows = self._make_flows()
        """The peer's flows, and the ids of ours."""

    def _make_box(self, key: bytes) -> Box:
        return Box(key)

    def _make_flows(self) -> FlowTable:
        return FlowTable()

    def new_flow_id(self, random_u32: Callable[[], int]) -> int:
        """A flow_id for a link of ours; it stays ours for the life of the process."""
        flow_id = random_u32()
        while flow_id in self.flows.own or self.flows.get(flow_id) is not None:
            flow_id = random_u32()
        self.flows.add_own(flow_id)
        return flow_id

    def reconfigure(self, key: bytes, *, is_server: bool, cleartext_data: bool) -> None:
        """Takes another password, role or mode of DATA; what is known of flows stays."""
        self.box = self._make_box(key)
        self.is_server = is_server
        self.cleartext_data = cleartext_data

    def introduces(self, path: Path, packet_type: int) -> bool:
        """Whether a packet of this type may bring a new flow to the link now."""
        control = CONTROL.get(packet_type)
        if control is None:
            return False
        if self.is_server:
            return control.introduces is Introduces.CLIENT
        return control.introduces is Introduces.SERVER and path.unanswered_auths > 0

    def admit(
        self, path: Path, datagram: bytes, address: Address, live: Iterable[Path], now: float
    ) -> Admitted | Stranger | DropReason:
        """Checks one datagram that came in on `path`; `live` are the links whose flows must be remembered."""
        header = wire.parse(datagram)
        if isinstance(header, DropReason):
            return header
        if header.flow_id in self.flows.own:
            return DropReason.REFLECTED
        flow = self.flows.get(header.flow_id)
        if flow is not None and flow.link != path.parameters.name:
            # A flow belongs to the link where it was first seen. Its first packet there may have been a recording, so
            # a flow that no link lives on may be introduced to another.
            if not self.introduces(path, header.type) or _lives(flow, live, now):
                return DropReason.WRONG_LINK
        payload = datagram[HEADER_SIZE:]
        if header.type == PacketType.DATA and self.cleartext_data:
            return self._admit_clear(path, flow, header, payload, address)
        if flow is not None and not flow.window.may_accept(header.seq):
            return DropReason.REPLAYED
        plaintext = self.box.open(payload, header.flow_id, header.seq)
        if plaintext is None:
            return DropReason.NOT_AUTHENTIC
        packet = self._expected(header, plaintext)
        if packet is None:
            return DropReason.BAD_PLAINTEXT
        if flow is None:
            if not self.introduces(path, header.type):
                return Stranger(header)
            flow = self.flows.add(header.flow_id, path.parameters.name, header.seq, _flow_ids(live))
            return Admitted(header, packet, flow, newest=True, authentic=True)
        newest = header.seq > flow.window.newest
        if flow.link != path.parameters.name:
            if not newest:
                return DropReason.WRONG_LINK
            flow.link = path.parameters.name
        flow.window.accept(header.seq)
        if flow is not path.flow:  # the link's current flow is never forgotten
            self.flows.touch(flow)
        return Admitted(header, packet, flow, newest=newest, authentic=True)

    def _admit_clear(
        self, path: Path, flow: PeerFlow | None, header: Header, payload: bytes, address: Address
    ) -> Admitted | DropReason:
        if not path.up or flow is None or flow is not path.flow or address != path.peer:
            return DropReason.CLEAR_NOT_ALLOWED
        packet = inner.packet_from(payload, layer2=self._layer2)
        if packet is None:
            return DropReason.BAD_PLAINTEXT
        if not flow.accept_clear(header.seq):
            return DropReason.REPLAYED
        return Admitted(header, packet, flow, newest=False, authentic=False)

    def _expected(self, header: Header, plaintext: bytes) -> bytes | None:
        """What the type carries, or None: the header was changed on the way."""
        if header.type == PacketType.DATA:
            return inner.packet_from(plaintext, layer2=self._layer2)
        return plaintext if CONTROL[header.type].fits(plaintext) else None


def _lives(flow: PeerFlow, paths: Iterable[Path], now: float) -> bool:
    """Whether a link is up by this flow, and has heard it lately."""
    return any(path.flow is flow and path.up and now < path.heard_at + SILENCE for path in paths)


def _flow_ids(paths: Iterable[Path]) -> frozenset[int]:
    flows = (flow for path in paths for flow in (path.flow, path.displaced))
    return frozenset(flow.flow_id for flow in flows if flow is not None)
