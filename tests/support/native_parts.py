"""The native twin's parts for tests: each part by itself, with the interface of its reference.

The daemon has the parts only inside an engine, a link or a flow. If a part has a binding, it is this binding here, with
a struct of its own. The methods that only C calls are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mlvpnd.dataplane import _native
from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.dataplane.binding import flows, gate, path, receiver, sending
from mlvpnd.dataplane.binding.path import NativePath
from mlvpnd.dataplane.binding.structs import field, new_engine, new_list, packet_of, pointer, take_packet, take_packets
from mlvpnd.protocol.links.path import Path, PathStatus
from mlvpnd.protocol.sending.flow_queue import BUCKETS
from mlvpnd.protocol.sending.fragments import Piece
from mlvpnd.protocol.sending.line import Item
from mlvpnd.protocol.wire.constants import CLEAR_WINDOW_SIZE, MAC_SIZE, MAX_FLOWS
from mlvpnd.protocol.wire.inner import Kind

_KINDS = tuple(Kind)
_U64 = (1 << 64) - 1
_U32 = (1 << 32) - 1
_VNET_HEADER = 10


def _new_path() -> _native.PathState:
    """A link for its meters only."""
    return ffi.gc(ffi.new("struct path_state *"), lib.path_clear)


def _new_flow(seq: int = 0) -> _native.PeerFlow:
    """A flow for its windows only."""
    flow = ffi.gc(ffi.new("struct peer_flow *"), lib.peer_flow_end)
    lib.peer_flow_begin(flow, 0, 0, seq)
    return flow


def _packets_of(packets: Iterable[bytes]) -> _native.PacketList:
    """A list of packets with these bytes."""
    made = new_list()
    for packet in packets:
        lib.packet_list_push(made, packet_of(packet))
    return made


# wire


class Box(gate.NativeBox):
    def __init__(self, key: bytes) -> None:
        super().__init__(new_engine(layer2=False), key)

    def seal(self, plaintext: bytes, flow_id: int, seq: int) -> bytes:
        packet, nonce = packet_of(plaintext), ffi.new("uint8_t[]", lib.WIRE_NONCE_SIZE)
        lib.wire_nonce(flow_id, seq, nonce)
        lib.box_seal(packet.data, packet.size, nonce, self._engine.key)
        sealed = bytes(ffi.buffer(packet.data - MAC_SIZE, packet.size + MAC_SIZE))
        lib.packet_free(packet)
        return sealed


class ReplayWindow(flows.NativeReplayWindow):
    def __init__(self, first: int) -> None:
        super().__init__(_new_flow(first))

    @classmethod
    def restored(cls, newest: int, seen: int) -> ReplayWindow:
        window, flow = cls(newest), flows.NativePeerFlow(0, "", newest)
        flow.restore(newest, seen)
        flows.NativeReplayWindow.__init__(window, flow.struct)
        return window


class ClearWindow(flows.NativeClearWindow):
    def __init__(self, newest_authentic: int, size: int = CLEAR_WINDOW_SIZE) -> None:
        super().__init__(_new_flow())
        if not lib.clear_begin(self._clear, newest_authentic, size):
            raise MemoryError

    @classmethod
    def restored(cls, base: int, octets: bytes) -> ClearWindow:
        window, flow = cls(0), flows.NativePeerFlow(0, "", 0)
        flow.restore_clear(base, octets)
        flows.NativeClearWindow.__init__(window, flow.struct)
        return window

    def anchor(self, newest_authentic: int) -> None:
        lib.clear_anchor(self._clear, newest_authentic)

    def count(self, first: int, end: int) -> int:
        return lib.clear_count(self._clear, *(min(max(number, 0), _U64) for number in (first, end)))


class FlowTable(flows.NativeFlowTable):
    def __init__(self, limit: int = MAX_FLOWS) -> None:
        super().__init__(new_engine(layer2=False), limit)


def classify(packet: bytes, *, layer2: bool) -> tuple[Kind, int]:
    flow = ffi.new("uint32_t *")
    return _KINDS[lib.inner_classify(packet, len(packet), layer2, flow)], flow[0]


def segment_name(packet: bytes, *, layer2: bool) -> bytes | None:
    name = ffi.new("uint8_t[]", lib.INNER_LONGEST_NAME)
    size = lib.inner_segment(packet, len(packet), layer2, name)
    return bytes(ffi.buffer(name, size)) if size else None


def packet_from(packet: bytes, *, layer2: bool) -> bytes | None:
    return packet[: lib.inner_packet_from(packet, len(packet), layer2)] or None


# receiving


class Transit:
    def __init__(self, of: NativePath | None = None) -> None:
        self.struct = pointer(of.struct, "transit") if of else ffi.new("struct transit *")
        if not of:
            lib.transit_begin(self.struct)

    has_sample: bool = field("has_sample")

    @property
    def low_ms(self) -> float:
        return lib.transit_low_ms(self.struct)

    @property
    def rise_ms(self) -> float:
        return lib.transit_rise_ms(self.struct)

    def received(self, timestamp: int, now: float) -> bool:
        return lib.transit_received(self.struct, timestamp, now)

    def note(self) -> None:
        lib.transit_note(self.struct)

    def forget_high(self) -> None:
        lib.transit_forget_high(self.struct)


def spread_ms(transits: Iterable[Transit]) -> float:
    structs = [transit.struct for transit in transits]
    return lib.transit_spread_ms(ffi.new("struct transit *[]", structs), len(structs))


class Disorder:
    def __init__(self, newest: int, of: NativePath | None = None) -> None:
        self.struct = pointer(of.struct, "disorder") if of else ffi.new("struct disorder *")
        if not of:
            lib.disorder_begin(self.struct, newest)

    def received(self, seq: int, now: float) -> bool:
        return lib.disorder_received(self.struct, seq, now)

    def seconds(self, now: float) -> float:
        return lib.disorder_seconds(self.struct, now)


def transit_of(link: Path) -> Any:
    """A link's meter of transit, on either twin."""
    return Transit(link) if isinstance(link, NativePath) else link.transit


def disorder_of(link: Path) -> Any:
    """A link's meter of disorder, on either twin."""
    return Disorder(0, link) if isinstance(link, NativePath) else link.disorder


class LossMeter(path.NativeLoss):
    def __init__(self, first: int) -> None:
        super().__init__(_new_path())
        lib.loss_begin(self._meter, first)

    @property
    def newest(self) -> int:  # type: ignore[override]  # nobody writes it
        meter = self.struct.loss
        return -2 * (1 << 17) if meter.nowhere else meter.newest  # the reference's number during a pause

    def received(self, seq: int, now: float, others: int = 0) -> None:
        lib.loss_received(self._meter, seq, now, others)


class RttEstimator(path.NativeRtt):
    def __init__(self) -> None:
        super().__init__(_new_path())
        lib.rtt_begin(pointer(self.struct, "rtt"))

    def update(self, sample_ms: float) -> None:
        lib.rtt_update(pointer(self.struct, "rtt"), sample_ms)

    def received(self, timestamp_reply: int, now: float) -> None:
        lib.rtt_received(pointer(self.struct, "rtt"), timestamp_reply, now)


class StampEcho:
    def __init__(self) -> None:
        self.struct = ffi.new("struct stamp_echo *")
        lib.echo_begin(self.struct)

    def received(self, timestamp: int, now: float) -> None:
        lib.echo_received(self.struct, timestamp, now)

    def take(self, now: float) -> int:
        return lib.echo_take(self.struct, now)


def stamp(now: float) -> int:
    return lib.rtt_stamp(now)


def sample_ms(timestamp_reply: int, now: float) -> int | None:
    sample = lib.rtt_sample_ms(timestamp_reply, now)
    return None if sample < 0 else sample


class CopyFilter:
    def __init__(self) -> None:
        self.struct = ffi.new("struct copy_filter *")
        lib.copies_begin(self.struct)

    def is_first(self, number: int) -> bool:
        return lib.copies_is_first(self.struct, number)


class AnswerPace(path.NativeAnswers):
    def __init__(self) -> None:
        super().__init__(_new_path())


class ReorderBuffer(receiver.NativeReorderBuffer):
    def __init__(self, size: int, wait: float) -> None:
        if size < 1:
            raise ValueError("a reorder buffer holds at least one packet")
        buffer = ffi.gc(ffi.new("struct reorder_buffer *"), lib.reorder_end)
        if not lib.reorder_begin(buffer, size, wait):
            raise MemoryError
        super().__init__(buffer)

    def set_links(self, disorder: Mapping[int, float]) -> None:
        rows = list(disorder.items())
        if not lib.reorder_set_links(self.struct, ffi.new("struct reorder_link[]", rows), len(rows)):
            raise MemoryError

    def push(self, data_seq: int, packet: bytes, now: float, link: int) -> list[bytes]:
        out, made = new_list(), packet_of(packet)
        made.data_seq = data_seq & _U64
        if not lib.reorder_push(self.struct, made, now, link, out):
            raise MemoryError
        return take_packets(out)

    def is_anew(self, data_seq: int, now: float, grace: float) -> bool | None:
        anew = lib.reorder_is_anew(self.struct, data_seq, now, grace)
        return None if anew < 0 else bool(anew)

    def deadline(self) -> float | None:
        return lib.reorder_deadline(self.struct) if self.struct.held else None

    def expire(self, now: float) -> list[bytes]:
        out = new_list()
        lib.reorder_expire(self.struct, now, out)
        return take_packets(out)

    def flush(self) -> list[bytes]:
        out = new_list()
        lib.reorder_flush(self.struct, out)
        return take_packets(out)


class Receiver(receiver.NativeReceiver):
    """At each call it knows the links that its mapping has at this time."""

    def __init__(self, paths: Mapping[int, Path], reorder_size: int, *, takes_first: bool) -> None:
        self._mapping = paths
        super().__init__(new_engine(layer2=False), reorder_size, takes_first=takes_first)

    def _follow(self) -> None:
        self._engine.table.count = 0
        for one in self._mapping.values():
            assert lib.path_table_add(pointer(self._engine, "table"), path.struct_of(one))


def _following(method: Callable[..., Any]) -> Callable[..., Any]:
    def follow_first(self: Receiver, *args: Any) -> Any:
        self._follow()
        return method(self, *args)

    return follow_first


for _name in ("resize", "measure", "receive", "begin_flow", "lose", "refresh", "update", "stood_still"):
    setattr(Receiver, _name, _following(getattr(receiver.NativeReceiver, _name)))


def reorder_wait(paths: Iterable[Path]) -> float:
    """The time for which a receiver over these links waits. Puts all links up."""
    links = dict(enumerate(paths))
    for one in links.values():
        one.status = PathStatus.AUTHOK
    made = Receiver(links, 1, takes_first=False)
    made.update(0.0)
    assert made.reorder is not None
    return made.reorder.wait


# sending


class FragmentTable(sending.NativeFragments):
    def __init__(self) -> None:
        super().__init__(new_engine(layer2=False))


def piece_of(packet: bytes, *, layer2: bool) -> Piece | None:
    piece, plain = ffi.new("struct piece *"), ffi.new("uint8_t[]", len(packet))
    if not lib.piece_of(packet, len(packet), layer2, piece):
        return None
    size = lib.piece_plain(piece, packet, len(packet), plain) if piece.rest else 0
    shown = bytes(ffi.buffer(plain, size)) if piece.rest else None
    return Piece(shown, bytes(ffi.buffer(piece.name, piece.name_size)), piece.first)


class FlowQueue:
    limit: int = field("limit")
    flows: int = field("flows")

    def __init__(self, limit: int) -> None:
        self.struct = ffi.gc(ffi.new("struct flow_queue *"), lib.flow_queue_clear)
        lib.flow_queue_begin(self.struct, limit)

    def push(self, flow: int, packet: bytes, size: int) -> int:
        made = packet_of(packet)
        made.line_size = size
        return lib.flow_queue_push(self.struct, flow & _U32, made)

    def put_back(self, flow: int, packet: bytes, size: int, number: int) -> None:
        made = packet_of(packet)
        made.line_size, made.flow = size, flow % BUCKETS
        made.reorder, made.data_seq = number >= 0, number & _U64
        lib.flow_queue_put_back(self.struct, made)

    def trim(self) -> int:
        return lib.flow_queue_trim(self.struct)

    def _check_not_empty(self) -> None:
        if not self.flows:
            raise IndexError("the queue is empty")

    def next_size(self) -> int:
        self._check_not_empty()
        return lib.flow_queue_next_size(self.struct)

    def pop(self) -> bytes:
        self._check_not_empty()
        packets = new_list()
        lib.packet_list_push(packets, lib.flow_queue_pop(self.struct))
        return take_packet(packets)

    bytes: int = field("bytes")  # last, because it hides the type


class Stretch:
    def __init__(self) -> None:
        self.struct = ffi.new("struct stretch *")
        lib.stretch_begin(self.struct)

    def __bool__(self) -> bool:
        return self.struct.count > 0

    def delay(self, now: int) -> int:
        return lib.stretch_delay(self.struct, now)

    def is_settling(self, now: int) -> bool:
        return lib.stretch_is_settling(self.struct, now)

    def forget(self, now: int) -> None:
        lib.stretch_forget(self.struct, now)

    def admit(self, flow: int, size: int, now: int, carried: int, rate: int) -> bool:
        return lib.stretch_admit(self.struct, flow & _U32, size, now, carried, rate)


class PacedScheduler(sending.NativePaced):
    def __init__(self, next_data_seq: int) -> None:
        super().__init__(new_engine(layer2=False))
        self.next_data_seq = next_data_seq

    def is_settling(self, now: int) -> bool:
        return lib.paced_is_settling(self.struct, now)

    def put(self, kind: Kind, flow: int, packet: bytes, size: int, now: int) -> None:
        made = packet_of(packet)
        made.line_size = size
        lib.paced_put(self.struct, kind, flow & _U32, made, now)

    def take(self, now: int) -> list[tuple[int, Item]]:
        out = new_list()
        lib.paced_take(self.struct, now, out)
        return sending.take_items(out)


class WeightedScheduler(sending.NativeWeighted):
    def __init__(self) -> None:
        super().__init__(new_engine(layer2=False))


class Retransmissions(sending.NativeRetransmissions):
    def __init__(self) -> None:
        super().__init__(new_engine(layer2=False))

    def sent(self, link: int, segment: bytes, length: int) -> None:
        if len(segment) > lib.INNER_LONGEST_NAME:
            raise ValueError("no segment has such a long name")
        lib.retransmissions_sent(self.struct, link, segment, len(segment), length)


# offload


def ones_sum(data: bytes) -> int:
    return lib.checksum_sum(data, len(data))


def checksum(data: bytes, start: int = 0) -> int:
    return lib.checksum_of(ones_sum(data) + start)


def pseudo_sum(addresses: bytes, protocol: int, length: int) -> int:
    return lib.checksum_pseudo(addresses, len(addresses), protocol, length)


def ipv4_checksum(header: bytes) -> int:
    return lib.checksum_ipv4(header, len(header))


def segment(frame: bytes, *, layer2: bool) -> list[bytes]:
    out = new_list()
    if len(frame) >= _VNET_HEADER:
        packet = frame[_VNET_HEADER:]
        lib.segment_frame(frame[:_VNET_HEADER], packet, len(packet), layer2, out)
    return take_packets(out)


def clamp_mss(packet: bytes, ipv4: int, ipv6: int, *, layer2: bool) -> bytes:
    made = packet_of(packet)
    lib.mss_clamp(made.data, made.size, layer2, ffi.new("struct mss_limits *", (ipv4, ipv6)))
    return take_packet(_alone(made))


def _alone(packet: _native.Packet) -> _native.PacketList:
    made = new_list()
    lib.packet_list_push(made, packet)
    return made


class Coalescer:
    merged_frames: int = field("merged_frames")
    merged_packets: int = field("merged_packets")

    def __init__(self, *, uso: bool, layer2: bool) -> None:
        self.struct = ffi.gc(ffi.new("struct coalescer *"), lib.coalescer_clear)
        lib.coalescer_begin(self.struct, uso, layer2)

    def coalesce(self, packets: Sequence[bytes]) -> list[bytes]:
        waiting, out = _packets_of(packets), list[bytes]()
        parts = ffi.new("struct iovec[]", lib.COALESCE_PARTS)
        while waiting.count:
            lib.coalescer_take(self.struct, waiting)
            while count := lib.coalescer_next(self.struct, parts):
                of = (parts[at] for at in range(count))
                out.append(b"".join(bytes(ffi.buffer(part.iov_base, part.iov_len)) for part in of))
        return out
