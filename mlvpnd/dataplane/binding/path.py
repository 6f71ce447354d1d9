"""A link, and what measures it."""

from __future__ import annotations

from collections import Counter

from mlvpnd.dataplane import _native
from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.protocol.links.answers import AnswerPace
from mlvpnd.protocol.links.path import Address, Path, PathParameters, PathStatus
from mlvpnd.protocol.receiving.loss import LossMeter
from mlvpnd.protocol.receiving.rtt import RttEstimator
from mlvpnd.protocol.sending.outbox import Transmit
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.replay import PeerFlow

from .flows import NativePeerFlow
from .structs import field, link_number, pointer, read_address, take_drops, take_packets, write_address

_STATUSES = tuple(PathStatus)


class NativeRtt(RttEstimator):
    """A link's round trip; C takes the samples."""

    __slots__ = ("struct",)
    has_sample: bool = field("rtt.has_sample")
    srtt_ms: float = field("rtt.srtt_ms")
    rttvar_ms: float = field("rtt.rttvar_ms")
    min_rtt_ms: float = field("rtt.min_rtt_ms")
    echoed_at: float = field("rtt.echoed_at")
    unechoed: int = field("rtt.unechoed")

    def __init__(self, path: _native.PathState) -> None:
        self.struct = path


class NativeLoss(LossMeter):
    """A link's loss; C counts."""

    __slots__ = ("_meter", "struct")

    def __init__(self, path: _native.PathState) -> None:
        self.struct = path
        self._meter = pointer(path, "loss")

    @property
    def sent(self) -> int:
        return lib.loss_sent(self._meter)

    @property
    def lost(self) -> int:
        return lib.loss_lost(self._meter)

    @property
    def percent(self) -> int:
        return lib.loss_percent(self._meter)

    def pause(self, until: float) -> None:
        lib.loss_pause(self._meter, until)


class NativeAnswers(AnswerPace):
    """The pace of a link's answers."""

    __slots__ = ("_pace", "struct")

    def __init__(self, path: _native.PathState) -> None:
        self.struct = path
        self._pace = pointer(path, "answers")
        lib.answers_begin(self._pace)

    def answers(self, now: float, sent_at: float) -> bool:
        return lib.answers_one(self._pace, now, sent_at)


class NativePath(Path):
    """A link of which the engine needs most fields. It stays where it is in memory."""

    number: int = field("number")
    flow_id: int = field("flow_id")
    next_seq: int = field("next_seq")
    ready: bool = field("ready")
    distrusted: bool = field("distrusted")
    on_trial: bool = field("on_trial")
    unanswered_auths: int = field("unanswered_auths")
    heard_at: float = field("heard_at")
    heard_gap: float = field("heard_gap")
    sent_at: float = field("sent_at")
    numbered_at: float = field("numbered_at")
    up_at: float = field("up_at")
    judge_at: float = field("judge_at")
    last_auth_at: float = field("last_auth_at")
    last_disconnect_at: float = field("last_disconnect_at")
    packets_sent: int = field("packets_sent")
    bytes_sent: int = field("bytes_sent")
    packets_received: int = field("packets_received")
    bytes_received: int = field("bytes_received")

    def __init__(self, number: int, parameters: PathParameters, flow_id: int, first_seq: int) -> None:
        self.struct = ffi.gc(ffi.new("struct path_state *"), lib.path_clear)
        super().__init__(number, parameters, flow_id, first_seq)
        self.rtt, self._loss, self.answers = NativeRtt(self.struct), NativeLoss(self.struct), NativeAnswers(self.struct)

    def _measure_anew(self, seq: int) -> None:
        lib.path_measure_anew(self.struct, seq)

    def measure_loss(self, seq: int) -> None:
        lib.path_measure_loss(self.struct, seq)

    def hear(self, now: float) -> None:
        lib.path_hear(self.struct, now)

    @property
    def loss(self) -> LossMeter | None:
        """The meter of loss, once the link has had a flow."""
        return self._loss if self.struct.measures_loss else None

    @loss.setter
    def loss(self, none: None) -> None:
        self.struct.measures_loss = False

    @property
    def parameters(self) -> PathParameters:
        """What the configuration says of it."""
        return self._parameters

    @parameters.setter
    def parameters(self, value: PathParameters) -> None:
        self._parameters = value
        self.struct.fallback_only, self.struct.name = value.fallback_only, link_number(value.name)
        self.struct.enabled = value.enabled

    @property
    def status(self) -> PathStatus:
        """Its state."""
        return _STATUSES[self.struct.status]

    @status.setter
    def status(self, value: PathStatus) -> None:
        self.struct.status = value

    @property
    def peer(self) -> Address | None:
        """Where the peer was last proven to be; for a client, at first its configured address."""
        return read_address(pointer(self.struct, "peer"))

    @peer.setter
    def peer(self, value: Address | None) -> None:
        write_address(value, pointer(self.struct, "peer"))

    @property
    def flow(self) -> PeerFlow | None:
        """The peer's current flow, from the last AUTH or AUTH_OK on."""
        return self._flow

    @flow.setter
    def flow(self, value: PeerFlow | None) -> None:
        self.struct.flow = value.struct if isinstance(value, NativePeerFlow) else ffi.NULL
        self._flow = value  # for as long as C points to it

    @property
    def epoch(self) -> int | None:
        """The epoch of its flow; None: not known yet."""
        return None if self.struct.epoch == lib.PATH_NO_EPOCH else self.struct.epoch

    @epoch.setter
    def epoch(self, value: int | None) -> None:
        self.struct.epoch = lib.PATH_NO_EPOCH if value is None else value

    @property
    def drops(self) -> Counter[DropReason]:
        """Datagrams that were refused. Takes over what C has counted."""
        take_drops(self.struct.drops, self._drops)
        return self._drops

    @drops.setter
    def drops(self, value: Counter[DropReason]) -> None:
        self._drops = value

    def take_transmits(self) -> list[Transmit]:
        """Takes the datagrams to send."""
        out, burst = [], self.struct.bursts
        while burst:
            address = read_address(pointer(burst, "address"))
            datagrams = take_packets(pointer(burst, "datagrams"))
            if datagrams and address is not None:
                out.append(Transmit(self.number, address, datagrams))
            burst = burst.next
        lib.path_clear(self.struct)
        return out


def struct_of(path: Path) -> _native.PathState:
    """The struct of a native session's link. Raises TypeError for another path."""
    if not isinstance(path, NativePath):
        raise TypeError("a native session has native links")
    return path.struct
