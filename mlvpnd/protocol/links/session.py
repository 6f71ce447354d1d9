"""The conductor: one session with one peer over all links.

The driver feeds it and empties it, in this order after every input:

    packets_for_tun = session.receive(path, datagrams, now)     datagrams of one link, a burst
    session.send(packets, now)                                  packets from the interface, a burst
    packets_for_tun = session.handle_timer(now)                 when `get_timer()` has come
    session.transmits()                                         datagrams to send, a burst for each link
    session.events()                                            what happened

A packet out (`send`): the sender finds its link and its time (`sender.py`). It gets a `seq`, is sealed, and joins the
link's burst (`outbox.py`).

A datagram in (`receive`): the gate admits it (`gate.py`). Its flow is the link's, or becomes it (`handshake.py`). The
peer's address, RTT and loss are updated. Then its type decides: DATA goes to the receiver, which puts it in order
(`receiver.py`), and out.

Whole runs go this way together where nothing is to be decided for each datagram.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlvpnd.protocol.receiving.receiver import Receiver
from mlvpnd.protocol.receiving.reorder import ReorderBuffer
from mlvpnd.protocol.sending.outbox import Outbox, Transmit
from mlvpnd.protocol.sending.rules import Matcher, Rule
from mlvpnd.protocol.sending.sender import Sender
from mlvpnd.protocol.wire.constants import HEADER_SIZE, STANDSTILL
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType

from .deadlines import Deadlines
from .events import DownReason, Event, PathStatusChanged, PeerMoved, TierChanged
from .gate import Admitted, Gate, Stranger
from .handshake import Handshake
from .path import Address, Path, PathParameters
from .quality import Activity, judge
from .selection import Tier, eligible


@dataclass(frozen=True, slots=True)
class SessionParameters:
    """What the configuration says of the whole session."""

    key: bytes
    is_server: bool
    layer2: bool = False
    """True: Ethernet frames (tap); False: IP packets (tun)."""
    cleartext_data: bool = False
    reorder_size: int = 0
    """Packets in the reorder buffer; 0: none."""
    pacing: bool = True
    """Whether links are paced where every one has a rate."""
    peer_takes_first: bool = False
    """The peer delivers the first of several copies, and may send some: it is no C MLVPN."""


class Session:
    """See the module. `random_u32` gives flow ids; `first_seq` must grow from process to process (a clock)."""

    def __init__(self, parameters: SessionParameters, first_seq: int, random_u32: Callable[[], int]) -> None:
        self._parameters = parameters
        self.gate = self._make_gate()
        self._random_u32 = random_u32
        self._paths: dict[int, Path] = {}
        self._deadlines = Deadlines(self._paths, self._probe_at, self._calls)
        self._activity = Activity(self._paths, self._deadlines.may_change)
        self._sender = self._make_sender(first_seq)
        self._sender.pacing = parameters.pacing
        self._sender.duplicates = parameters.peer_takes_first
        self._receiver = self._make_receiver()
        self._tier = Tier.NORMAL
        self._outbox = Outbox(self.gate)
        self._events: list[Event] = []
        self._handshake = Handshake(
            self._paths,
            self.gate,
            self._receiver,
            say=self._emit,
            tell=self._events.append,
            changed=self._reschedule,
        )
        self._controls: Mapping[int, Callable[[Path, Admitted, float], DropReason | None]] = {
            PacketType.AUTH: self._handshake.take_auth,
            PacketType.AUTH_OK: self._handshake.take_auth_ok,
            PacketType.DISCONNECT: self._handshake.take_disconnect,
        }
        """Take control packets that are the newest of their flow. DATA and KEEPALIVE are heard in any order."""
        self._now = 0.0

    # What it is made of, where the native twin has its own.

    def _make_gate(self) -> Gate:
        of = self._parameters
        return Gate(of.key, is_server=of.is_server, layer2=of.layer2, cleartext_data=of.cleartext_data)

    def _make_sender(self, first_seq: int) -> Sender:
        return Sender(self._paths, first_seq, self._emit_data, layer2=self._parameters.layer2)

    def _make_receiver(self) -> Receiver:
        of = self._parameters
        return Receiver(self._paths, of.reorder_size, takes_first=of.peer_takes_first)

    def _make_path(self, number: int, parameters: PathParameters, flow_id: int, first_seq: int) -> Path:
        return Path(number, parameters, flow_id, first_seq)

    # What the driver may read.

    @property
    def paths(self) -> Sequence[Path]:
        """All links, in the order of their numbers."""
        return tuple(self._paths.values())

    def path(self, number: int) -> Path:
        """One link."""
        return self._paths[number]

    @property
    def reorder(self) -> ReorderBuffer | None:
        """The reorder buffer, if there is one."""
        return self._receiver.reorder

    @property
    def carrying(self) -> tuple[int, ...]:
        """The links in the schedule now."""
        return self._sender.carrying

    @property
    def drops(self) -> Counter[DropReason]:
        """Outgoing packets that were not sent."""
        return self._sender.drops

    @property
    def paced(self) -> bool:
        """Whether links are paced at their rates; False: bandwidths are weights."""
        return self._sender.paced

    @property
    def next_data_seq(self) -> int:
        """The number of the next packet that takes part in reordering."""
        return self._sender.next_data_seq

    @next_data_seq.setter
    def next_data_seq(self, value: int) -> None:
        self._sender.next_data_seq = value

    @property
    def tier(self) -> Tier:
        """The kind of links that carry traffic."""
        return self._tier if self.carrying else Tier.NONE

    # Configuration.

    def add_path(self, number: int, parameters: PathParameters, first_seq: int) -> Path:
        """A new link; it stays silent until `path_ready`."""
        flow_id = self.gate.new_flow_id(self._random_u32)
        path = self._paths[number] = self._make_path(number, parameters, flow_id, first_seq)
        return path

    def disconnect_path(self, number: int, now: float) -> list[bytes]:
        """Says DISCONNECT on a link that is about to be removed. While its end is told, it can still be looked up."""
        self._now = now
        self._handshake.go_down(self._paths[number], DownReason.CLOSED, now, say_so=True)
        return self._receiver.take_freed()

    def remove_path(self, number: int, now: float) -> list[bytes]:
        """Says DISCONNECT and forgets the link. Its last burst is still in `transmits`."""
        self._now = now
        self._handshake.go_down(self._paths[number], DownReason.CLOSED, now, say_so=True)
        self._forget_path(number)
        self._reschedule()
        return self._receiver.take_freed()

    def _forget_path(self, number: int) -> None:
        del self._paths[number]

    def set_parameters(self, number: int, parameters: PathParameters, now: float) -> list[bytes]:
        """Changes what a reload may change under an up link, and whether the link is enabled.

        A link that is disabled says DISCONNECT, and is down until it is enabled.
        """
        self._now = now
        path = self._paths[number]
        was_enabled, path.parameters = path.parameters.enabled, parameters
        if parameters.enabled and not was_enabled:
            self._handshake.ask_again(path, now)
        elif was_enabled and not parameters.enabled:
            self._handshake.disable(path, now)
        self._reschedule()
        return self._receiver.take_freed()

    def reconfigure(self, parameters: SessionParameters) -> list[bytes]:
        """Takes new parameters; returns packets that the old reorder buffer held.

        The driver removes all links before it changes `is_server`; `layer2` never changes.
        """
        old, self._parameters = self._parameters, parameters
        self.gate.reconfigure(parameters.key, is_server=parameters.is_server, cleartext_data=parameters.cleartext_data)
        self._sender.duplicates = parameters.peer_takes_first
        self._receiver.takes_first = parameters.peer_takes_first
        if old.pacing != parameters.pacing:
            self._sender.pacing = parameters.pacing
            self._reschedule()
        if old.reorder_size == parameters.reorder_size:
            return []
        return self._receiver.resize(parameters.reorder_size)

    def set_filters(self, filters: Sequence[tuple[Matcher, int]]) -> None:
        """Filters in order, each with the number of its link."""
        self._sender.set_filters(filters)

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Rules in order."""
        self._sender.set_rules(rules)

    # The driver's sockets.

    def path_ready(self, number: int, peer: Address | None, now: float) -> None:
        """The link has a socket; a client's peer is at `peer`."""
        path = self._paths[number]
        path.ready = True
        if peer is not None:
            path.peer = peer
        self._handshake.ask_again(path, now)
        self._deadlines.may_change()
        self._now = now
        self._announce(path)

    def _announce(self, path: Path) -> None:
        """A link that was taken up first shows its new numbers by an authentic packet: clear DATA proves none."""
        if path.up and path.ready:
            self._emit(path, PacketType.KEEPALIVE, b"")

    def path_unready(self, number: int, now: float, reason: DownReason = DownReason.SOCKET_LOST) -> list[bytes]:
        """The link has lost its socket, or what the socket needs to be of use."""
        self._now = now
        path = self._paths[number]
        self._handshake.go_down(path, reason, now, say_so=False)
        path.ready = False
        self._deadlines.may_change()
        return self._receiver.take_freed()

    def resumed(self, now: float) -> None:
        """Links have been taken up from another process (`resume.py`): traffic goes to those that are up."""
        self._now = now
        self._reschedule()
        self._events.clear()
        self._receiver.update(now)
        self._pause_loss()
        self.greet(now)

    def greet(self, now: float) -> None:
        """Says KEEPALIVE on every up link. Said before a restart, it makes the peer wait a whole timeout for it."""
        self._now = now
        for path in self._paths.values():
            self._announce(path)

    def disconnect(self, number: int, now: float) -> list[bytes]:
        """Says DISCONNECT on one link; a client asks for the peer again."""
        self._now = now
        path = self._paths[number]
        self._handshake.go_down(path, DownReason.CLOSED, now, say_so=True)
        self._handshake.ask_again(path, now)
        self._deadlines.may_change()
        return self._receiver.take_freed()

    def flush(self, now: float) -> None:
        """Sends at once what is held back for its line, as the process ends."""
        self._now = now
        self._sender.flush(now)

    def close(self, now: float) -> None:
        """Says DISCONNECT on every up link; the session ends."""
        self._now = now
        for path in self._paths.values():
            self._handshake.go_down(path, DownReason.CLOSED, now, say_so=True)

    # Out.

    def send(self, packets: Sequence[bytes], now: float) -> None:
        """Takes packets from the interface for the links that shall carry them."""
        self._now = now
        self._activity.note(now)
        self._sender.send(packets, now)

    def _emit_data(self, path: Path, packet: bytes, reorder: bool, data_seq: int) -> None:  # noqa: FBT001
        self._emit(path, PacketType.DATA, packet, reorder=reorder, data_seq=data_seq)

    def _emit(
        self,
        path: Path,
        packet_type: PacketType,
        plaintext: bytes,
        *,
        reorder: bool = True,
        data_seq: int = 0,
        address: Address | None = None,
    ) -> None:
        """Sends one datagram to the link's peer, or to `address`."""
        to = address or path.peer
        if to is not None:
            self._outbox.put(path, packet_type, plaintext, reorder, data_seq, to, self._now)

    def transmits(self) -> list[Transmit]:
        """Takes the datagrams to send."""
        return self._outbox.take()

    def events(self) -> list[Event]:
        """Takes what happened since the last call."""
        events = self._events.copy()
        self._events.clear()
        return events

    # In.

    def receive(self, number: int, datagrams: Sequence[tuple[bytes, Address]], now: float) -> list[bytes]:
        """Takes a burst from one link's socket; returns packets for the interface, in order."""
        self._now = now
        path = self._paths[number]
        out: list[bytes] = []
        self._receiver.refresh(now)
        for datagram, address in datagrams:
            out += self._receive_one(path, datagram, address)
        self.judge_in_time(path, now)
        return out

    def _receive_one(self, path: Path, datagram: bytes, address: Address) -> list[bytes]:
        receiver, data = self._receiver, self._take(path, datagram, address)
        released = receiver.take_freed() if receiver.freed else []
        if isinstance(data, DropReason):
            path.drops[data] += 1
        elif data is not None:
            self._activity.note(self._now)
            return [*released, *receiver.receive(path, data.header, data.packet, self._now)]
        return released

    def judge_in_time(self, path: Path, now: float) -> None:
        """Judges a link that was not judged for a while. Call it when something has come by the link."""
        if path.rtt.unechoed:  # its peer may not hear us: the link is probed, or down, sooner than it would be
            self._deadlines.consider(path)
        if now >= path.judge_at:
            self._judge(path)

    def _take(self, path: Path, raw: bytes, address: Address) -> Admitted | DropReason | None:
        """One datagram: DATA to deliver, None for control, or why it is dropped."""
        datagram = self.gate.admit(path, raw, address, self._paths.values(), self._now)
        if isinstance(datagram, DropReason):
            return datagram
        if not path.parameters.enabled:
            self._handshake.tell_end(path, datagram.header, address, self._now)
            return DropReason.DISABLED
        if isinstance(datagram, Stranger):
            self._handshake.answer_stranger(path, datagram.header, address, self._now, counted=False)
            return DropReason.UNKNOWN_FLOW
        header, _, flow, newest, authentic = datagram
        if authentic:
            if flow is not path.flow and not self._handshake.adopts(path, datagram, self._now):
                self._handshake.answer_stranger(path, header, address, self._now, counted=True)
                return DropReason.UNKNOWN_FLOW
            if newest and address != path.peer:
                path.peer = address
                self._events.append(PeerMoved(path.number, address))
        self._receiver.measure(path, datagram, self._now)
        path.packets_received += 1
        path.bytes_received += HEADER_SIZE + header.length
        if header.type == PacketType.DATA or header.type == PacketType.KEEPALIVE:
            if not path.up and not self._handshake.hears_us(path, header, self._now):
                self._handshake.answer_stranger(path, header, address, self._now, counted=True)
                return DropReason.NOT_UP
            if authentic:
                self._handshake.hear(path, header, self._now)
            if header.type == PacketType.DATA:
                return datagram
            self._answer_keepalive(path)
            return None
        if not newest:
            return DropReason.STALE_CONTROL
        self._deadlines.may_change()
        return self._controls[header.type](path, datagram, self._now)

    def _answer_keepalive(self, path: Path) -> None:
        if path.answers.answers(self._now, path.sent_at):
            self._emit(path, PacketType.KEEPALIVE, b"")

    def _reschedule(self) -> None:
        """Chooses anew which links carry traffic."""
        self._deadlines.may_change()
        tier, chosen = eligible(self.paths, self.carrying)
        self._sender.reschedule(chosen, self._now)
        if tier is not self._tier:
            self._events.append(TierChanged(self._tier, tier))
        self._tier = tier

    # Time.

    def woken(self, due: float, now: float) -> None:
        """The timer that was due at `due` comes now. If nobody listened meanwhile, it was not the peers' silence."""
        self._now = now
        if now - due >= STANDSTILL:
            self._receiver.stood_still()
            for path in self._paths.values():
                path.heard_at = min(path.heard_at + now - due, now)
                path.believed_at = now
            self._pause_loss()

    def _pause_loss(self) -> None:
        """Datagrams that came while nobody listened may not have fit into a socket's buffer: no line lost them."""
        for path in self._paths.values():
            if path.loss is not None:
                path.loss.pause(self._now + STANDSTILL)

    def get_timer(self) -> float | None:
        """When `handle_timer` is due, or None."""
        due = self.get_control_timer()
        for at in (self._receiver.due(), self._sender.due()):
            if at is not None and (due is None or at < due):
                due = at
        return due

    def get_control_timer(self) -> float | None:
        """The same, without packets that wait. It may be too early: a link that was heard has longer."""
        return self._deadlines.due()

    def _calls(self, path: Path) -> bool:
        """Whether a link that is down asks for its peer."""
        return path.ready and path.parameters.enabled and not self._parameters.is_server and path.peer is not None

    def handle_timer(self, now: float) -> list[bytes]:
        """Does all that is due; returns packets for the interface whose wait has ended."""
        self._now = now
        out: list[bytes] = []
        for path in self._paths.values() if self._deadlines.come(now) else ():
            silent = path.up and path.heard_at + path.parameters.timeout <= now
            if silent or (path.up and path.unheard_at <= now):
                # A peer that hears us, and is not heard, is told: it would go on for its own timeout.
                # Where the peer is overdue itself, the line is dead both ways.
                silent = silent or now > path.heard_at + path.patience
                reason = DownReason.TIMEOUT if silent else DownReason.UNHEARD
                self._handshake.go_down(path, reason, now, say_so=path.asked_seq is None)
                self._handshake.ask_again(path, now)
                out += self._receiver.take_freed()
                # AUTH waits for the next turn: the driver may open another socket first, to get the answer there.
            elif path.up:
                if path.next_keepalive_at <= now:
                    self._tick(path)
                elif self._probe_at(path) <= now:
                    self._emit(path, PacketType.KEEPALIVE, b"")
            elif path.asked_seq is not None:
                if path.asked_at + path.parameters.timeout <= now:
                    self._handshake.forget(path)
            elif self._calls(path) and path.next_auth_at <= now:
                self._handshake.call(path, now)
        out += self._receiver.expire(now)
        if self._activity.find_silent(now, paced=self._sender.paced):
            self._reschedule()
        self._sender.pump(now)
        return out

    def _probe_at(self, path: Path) -> float:
        return self._activity.probe_at(path, self._tier, paced=self._sender.paced)

    def _tick(self, path: Path) -> None:
        """Once a second on an up link: KEEPALIVE, then judge the line."""
        now = self._now
        path.next_keepalive_at = self._deadlines.next_tick(path, now)
        self._emit(path, PacketType.KEEPALIVE, b"")
        if path.unanswered_auths and not self._parameters.is_server:  # it was given a hint and asks until answered
            self._handshake.ask(path, now)
        self._judge(path)

    def _judge(self, path: Path) -> None:
        if not path.up:
            return
        tried = path.on_trial
        before = judge(path, self._now)
        if path.status is not before:
            self._events.append(PathStatusChanged(path.number, before, path.status))
            self._reschedule()
        elif path.on_trial is not tried:
            self._reschedule()
        elif self._tier is Tier.LAST_RESORT and self._other_is_better():
            self._reschedule()

    def _other_is_better(self) -> bool:
        _, chosen = eligible(self.paths, self.carrying)
        return tuple(path.number for path in chosen) != self.carrying
