"""One link as the protocol sees it: its state, its peer's address and flow, its measurements and deadlines."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass

from mlvpnd.protocol.receiving.loss import LossMeter
from mlvpnd.protocol.receiving.rtt import RttEstimator, StampEcho
from mlvpnd.protocol.receiving.transit import Disorder, Transit
from mlvpnd.protocol.wire.constants import LEAST_PATIENCE, LEAST_UNECHOED, LEAST_UNECHOED_TIME, UNECHOED_ACTIVE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.replay import PeerFlow

from .answers import AnswerPace
from .damping import Damping

GAP_GAIN = 1 / 8
"""Weight of a new gap between packets in the smoothed gap."""

Address = tuple[str, int, *tuple[int | str, ...]]
"""A socket address as the driver's sockets give it. Behind it stands our address that was called, where it is known.

The protocol only compares it. So answers, and where the peer is, go with the address that the peer calls us by.
"""


def is_ipv6(address: Address | None) -> bool:
    """Whether packets for it have IPv6 headers outside."""
    return address is not None and ":" in address[0] and not address[0].startswith("::ffff:")


class PathStatus(enum.IntEnum):
    """Upstream's numbers; up is everything from AUTHOK on."""

    DISCONNECTED = 0
    AUTHSENT = 1
    AUTHOK = 2
    LOSSY = 3
    HIGH_LATENCY = 4

    @property
    def up(self) -> bool:
        """Whether the link can carry traffic."""
        return self >= PathStatus.AUTHOK


class PathInput(enum.Enum):
    """What may change a path's status."""

    CALL = "call"
    """A client sends AUTH, or a server has answered one and waits to be heard."""
    AUTHENTICATE = "authenticate"
    LOSE = "lose"
    """Timeout, DISCONNECT or removal."""
    LOSS_HIGH = "loss high"
    LOSS_FINE = "loss fine"
    LATENCY_HIGH = "latency high"
    LATENCY_FINE = "latency fine"


_S, _I = PathStatus, PathInput
TRANSITIONS: dict[PathStatus, dict[PathInput, PathStatus]] = {
    _S.DISCONNECTED: {_I.CALL: _S.AUTHSENT, _I.AUTHENTICATE: _S.AUTHOK, _I.LOSE: _S.DISCONNECTED},
    _S.AUTHSENT: {_I.CALL: _S.AUTHSENT, _I.AUTHENTICATE: _S.AUTHOK, _I.LOSE: _S.DISCONNECTED},
    _S.AUTHOK: {
        _I.AUTHENTICATE: _S.AUTHOK,
        _I.LOSE: _S.DISCONNECTED,
        _I.LOSS_HIGH: _S.LOSSY,
        _I.LOSS_FINE: _S.AUTHOK,
        _I.LATENCY_HIGH: _S.HIGH_LATENCY,
        _I.LATENCY_FINE: _S.AUTHOK,
    },
    # A peer that begins anew says nothing of the line: loss and latency are judged when they are known.
    _S.LOSSY: {
        _I.AUTHENTICATE: _S.LOSSY,
        _I.LOSE: _S.DISCONNECTED,
        _I.LOSS_HIGH: _S.LOSSY,
        _I.LOSS_FINE: _S.AUTHOK,
        _I.LATENCY_HIGH: _S.LOSSY,
        _I.LATENCY_FINE: _S.LOSSY,
    },
    _S.HIGH_LATENCY: {
        _I.AUTHENTICATE: _S.HIGH_LATENCY,
        _I.LOSE: _S.DISCONNECTED,
        _I.LOSS_HIGH: _S.LOSSY,
        _I.LOSS_FINE: _S.HIGH_LATENCY,
        _I.LATENCY_HIGH: _S.HIGH_LATENCY,
        _I.LATENCY_FINE: _S.AUTHOK,
    },
}
"""Every legal step; any other is a fault of ours and raises KeyError."""


@dataclass(frozen=True, slots=True)
class PathParameters:
    """What the configuration says of a link, in the protocol's terms."""

    name: str
    timeout: float
    """Seconds without an authentic packet after which the link is down."""
    loss_tolerance: int = 100
    """Percent; 100: never lossy."""
    latency_tolerance: int = 1000
    """Milliseconds; 1000: never slow."""
    fallback_only: bool = False
    bandwidth: int = 0
    """Bytes per second, or a bare weight in the schedule; 0: unknown."""
    priority: int = 0
    """Links with a higher one carry only what overflows those with a lower one."""
    enabled: bool = True
    """False: it is down, and neither calls nor answers."""


class Path:
    """The mutable state of a link. `Session` drives it; others read it."""

    def __init__(self, number: int, parameters: PathParameters, flow_id: int, first_seq: int) -> None:
        self.number = number
        self.parameters = parameters
        self.status = PathStatus.DISCONNECTED
        self.flow_id = flow_id
        self.next_seq = first_seq
        self.ready = False
        """The driver has a socket for it."""
        self.peer: Address | None = None
        """Where the peer was last proven to be; for a client, at first its configured address."""
        self.flow: PeerFlow | None = None
        """The peer's current flow, from the last AUTH or AUTH_OK on."""
        self.displaced: PeerFlow | None = None
        """The flow before it, which may reclaim the link if it goes on speaking."""
        self.displaced_at = 0.0
        self._measure_anew(0)
        self.loss: LossMeter | None = None
        self.answers = AnswerPace()
        self.damping = Damping()
        self.trust_damping = Damping()
        """For a link that is distrusted again and again because its peer says AUTH: it carries nothing until then."""
        self.trusted_at = float("-inf")
        """When it was last trusted again."""
        # Deadlines and points in time, of the driver's monotonic clock.
        self.next_auth_at = 0.0
        self.last_auth_at = float("-inf")
        self.next_keepalive_at = 0.0
        self.heard_at = float("-inf")
        self.sent_at = float("-inf")
        self.heard_gap = 1.0
        """Seconds between packets of the peer, smoothed; KEEPALIVEs come each second at least."""
        self.retransmitted = 0.0
        """Part of the bytes of inner TCP given to it lately that came again; known where links are paced."""
        self.spare = False
        """It loses too much by `retransmitted`, so it carries only what overflows others."""
        self.distrusted = False
        """It is silent while others are heard, or its peer seems not to hear us: it carries nothing until it is heard,
        or down."""
        self.on_trial = False
        """It has come up beside healthy links, and carries nothing until it seems healthy, too."""
        self.probed_until = float("-inf")
        """Until then it is probed quickly, as it has come up."""
        self.judge_at = float("-inf")
        self.excluded_at = float("-inf")
        """When it was found to be lossy or slow."""
        self.last_disconnect_at = float("-inf")
        self.up_at = float("-inf")
        self.numbered_at = float("-inf")
        """When it last brought data that takes part in reordering."""
        self.epoch: int | None = None
        """The epoch of its flow (`receiver.py`); None: not known yet."""
        self.proven_flow: PeerFlow | None = None
        """The flow by which the link came up, or that spoke after it had asked again."""
        self.believed_at = float("-inf")
        """When the link came up, or the peer spoke after it had asked again, or we listened again after a standstill:
        echoes are missed from then on."""
        self.asked_seq: int | None = None
        """Number of the AUTH that a server has answered, while nothing after it shows that the answer has arrived."""
        self.asked_at = float("-inf")
        self.asked_count = 0
        """AUTHs in a row that were answered while the link was down, without a sign that an answer has arrived."""
        self.doubted_until = float("inf")
        """When an up link whose peer has asked again goes down, unless the peer speaks."""
        self.greeted = False
        """A client has sent its first AUTH, and before it the DISCONNECT that frees a peer's old session."""
        self.unanswered_auths = 0
        self.unanswered_told = 0
        """How many of these the driver knows of."""
        # Counters of UDP payloads, header and MAC included.
        self.packets_sent = 0
        self.bytes_sent = 0
        self.packets_received = 0
        self.bytes_received = 0
        self.disconnects = 0
        self.drops: Counter[DropReason] = Counter()

    @property
    def up(self) -> bool:
        """Whether the link can carry traffic."""
        return self.status.up

    @property
    def healthy(self) -> bool:
        """Whether it is up, and neither lossy nor slow."""
        return self.status is PathStatus.AUTHOK

    @property
    def loss_percent(self) -> int:
        """Loss of what the peer has sent lately, rounded down."""
        return self.loss.percent if self.loss is not None else 0

    def hear(self, now: float) -> None:
        """Notes an authentic packet."""
        self.heard_gap += GAP_GAIN * (min(now - self.heard_at, 1.0) - self.heard_gap)
        self.heard_at = now

    @property
    def patience(self) -> float:
        """Seconds of silence that are ordinary while the peer is sending."""
        spread = (self.rtt.srtt_ms + 4 * self.rtt.rttvar_ms) / 1000 if self.rtt.has_sample else 1.0
        return max(LEAST_PATIENCE, 3 * self.heard_gap) + spread

    @property
    def _proven_at(self) -> float:
        """When one of our packets is known to have arrived, or was taken to have."""
        believed = self.believed_at + (self.rtt.srtt_ms / 1000 if self.rtt.has_sample else 0.0)
        return max(self.rtt.echoed_at, believed)

    @property
    def echo_lasts_until(self) -> float:
        """Until when the peer's last echo is taken to show that it hears us; in the past where it never echoed."""
        return self._proven_at + self.parameters.timeout if self.rtt.echoed_at >= 0 else float("-inf")

    @property
    def echo_missed_at(self) -> float:
        """When an up link's peer, though heard, has echoed nothing for so long that it is probed quickly; or never."""
        if not self.rtt.unechoed or self.rtt.echoed_at < 0:
            return float("inf")
        return self._proven_at + max(self.parameters.timeout / 2, LEAST_UNECHOED_TIME)

    @property
    def unheard_at(self) -> float:
        """When an up link goes down because its peer is heard, but does not hear us. Infinity: nothing shows that."""
        if self.rtt.unechoed < LEAST_UNECHOED or self.rtt.echoed_at < 0:
            return self.doubted_until
        return min(self.doubted_until, self._proven_at + self.parameters.timeout)

    def seems_unheard(self, now: float, since: float = float("-inf")) -> bool:
        """Whether a peer that is heard echoes nothing, though packets have gone to it all the time from `since` on."""
        if self.rtt.unechoed < UNECHOED_ACTIVE or self.rtt.echoed_at < 0:
            return False
        return now - max(self._proven_at, since) > 2 * self.patience

    def step(self, what: PathInput) -> PathStatus:
        """Applies the table; returns the status before."""
        before = self.status
        self.status = TRANSITIONS[before][what]
        return before

    def begin_flow(self, flow: PeerFlow, seq: int) -> None:
        """The peer's session on this link is `flow` from now on, and all measurements of the old one are void."""
        self.flow = flow
        self._measure_anew(seq)
        self.measure_loss(seq)

    def _measure_anew(self, seq: int) -> None:
        """Begins all meters but that of loss; `seq` is the newest number of the link's flow."""
        self.rtt = RttEstimator()
        self.echo = StampEcho()
        self.transit = Transit()
        self.disorder = Disorder(seq)

    def measure_loss(self, seq: int) -> None:
        """Begins to measure loss, from the number after `seq` on."""
        self.loss = LossMeter(seq)
