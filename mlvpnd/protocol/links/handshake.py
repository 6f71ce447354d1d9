"""How a link comes up and goes down: who greets whom, whose flow is the link's, and what a stranger is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from mlvpnd.protocol.receiving.receiver import Receiver
from mlvpnd.protocol.wire.constants import (
    AUTH_GRACE,
    AUTH_INTERVAL,
    AUTH_OK_PLAINTEXT,
    AUTH_PLAINTEXT,
    DISCONNECT_INTERVAL,
    KEEPALIVE_INTERVAL,
    RECLAIM_GRACE,
    SILENCE,
    UNANSWERED_AUTHS,
    UNHEARD_AUTHS,
)
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import Header, PacketType

from .events import (
    DownReason,
    Event,
    PathCalling,
    PathDown,
    PathForgotten,
    PathUnanswered,
    PathUnheard,
    PathUp,
    PeerRestarted,
)
from .gate import Admitted, Gate
from .path import Address, Path, PathInput, PathStatus
from .quality import begin_trial


class Say(Protocol):
    """Sends one control packet to the link's peer, or to `address`."""

    def __call__(
        self, path: Path, packet_type: PacketType, plaintext: bytes, /, *, address: Address | None = None
    ) -> None: ...


class Handshake:
    """Works on the links of one session; `tell` takes what happened, `changed` is called as a link comes or goes."""

    def __init__(
        self,
        paths: Mapping[int, Path],
        gate: Gate,
        receiver: Receiver,
        *,
        say: Say,
        tell: Callable[[Event], None],
        changed: Callable[[], None],
    ) -> None:
        self._paths = paths
        self._gate = gate
        self._receiver = receiver
        self._say = say
        self._tell = tell
        self._changed = changed

    # What comes.

    def adopts(self, path: Path, datagram: Admitted, now: float) -> bool:
        """Whether another flow becomes the link's: the peer begins anew, or takes its link back.

        Of two flows that both speak, one is the peer and one a recording. Either may have come first, so none is shut
        out for ever. By speaking, a flow takes its link back from a newcomer, but not from a flow that was ousted and
        has asked again.
        """
        header, _, flow, newest, _ = datagram
        current = path.flow
        if not newest:
            return False
        if self._gate.introduces(path, header.type):
            flow.insistent = flow.ousted
            if current is not None and not path.up and path.asked_seq is not None:
                # Neither flow has shown yet that it hears us: the first that does has the link.
                path.displaced, path.displaced_at = current, now - RECLAIM_GRACE
            elif current is not None and path.up:
                # Where the current flow has said nothing since it came, the one that it displaced may be alive.
                if path.displaced in (None, flow) or path.heard_at > path.displaced_at:
                    path.displaced, path.displaced_at = current, now
                self._tell(PeerRestarted(path.number))
        elif (
            flow is path.displaced and now >= path.displaced_at + RECLAIM_GRACE and not (current and current.insistent)
        ):
            # The flow is alive, so a replay of an older session had displaced it.
            path.displaced = None
            self._has_shown(path)
            path.proven_flow = flow
            if not path.up:
                path.asked_seq = header.seq - 1  # it was answered before the other came
        else:
            return False
        if current is not None:
            self._gate.flows.touch(current)  # as recent as the flow that ousts it
            current.ousted = True
        path.begin_flow(flow, header.seq)
        self._receiver.begin_flow(path, now)
        return True

    # Each of these takes the newest packet of the link's flow.

    def take_auth(self, path: Path, datagram: Admitted, now: float) -> DropReason | None:
        """A client asks."""
        refusal = self._refusal(path, datagram, now)
        if refusal is None:
            self._say(path, PacketType.AUTH_OK, AUTH_OK_PLAINTEXT)
            self._has_asked(path, datagram.header.seq, now)
        return refusal

    def take_auth_ok(self, path: Path, datagram: Admitted, now: float) -> DropReason | None:
        """The server answers."""
        refusal = self._refusal(path, datagram, now)
        if refusal is None:
            self._go_up(path, now)
            self._say(path, PacketType.KEEPALIVE, b"")  # shows the server that its answer has arrived
        return refusal

    def _refusal(self, path: Path, datagram: Admitted, now: float) -> DropReason | None:
        if not self._gate.introduces(path, datagram.header.type):
            return DropReason.STALE_CONTROL
        return DropReason.DAMPED if not path.up and now < path.damping.until else None

    def take_disconnect(self, path: Path, _datagram: Admitted, now: float) -> DropReason | None:
        """The peer ends, or does not know this session."""
        if not path.up and path.asked_seq is None:
            return DropReason.NOT_UP
        if not path.up:  # a peer that asks and goes is as much work as one that comes and goes
            path.damping.end(0.0, now)
        self.go_down(path, DownReason.DISCONNECTED, now, say_so=False)
        self.ask_again(path, now)
        return None

    # What shows a server that its answer arrives: after it has asked, the peer says something else.

    def _has_asked(self, path: Path, seq: int, now: float) -> None:
        """AUTH shows that the peer's packets arrive, but not that ours do. Now the peer takes nothing but an answer."""
        path.asked_seq, path.asked_at = seq, now
        if path.up:
            if path.flow is path.proven_flow:  # else it has restarted, and was never up
                path.doubted_until = min(path.doubted_until, max(now + AUTH_GRACE, path.echo_lasts_until))
            if not path.distrusted:
                path.distrusted = True
                path.trust_damping.end(now - max(path.trusted_at, path.up_at), now)  # each moves what waits for it
                self._changed()
            return
        if path.step(PathInput.CALL) is PathStatus.DISCONNECTED:
            self._tell(PathCalling(path.number))
        path.asked_count += 1
        if path.asked_count == UNHEARD_AUTHS:
            self._tell(PathUnheard(path.number))

    def hears_us(self, path: Path, header: Header, now: float) -> bool:
        """Whether KEEPALIVE or DATA on a link that is down shows that our answer has arrived; the link is up then."""
        if path.asked_seq is None or header.seq <= path.asked_seq or now < path.damping.until:
            return False
        self._go_up(path, now)
        return True

    @staticmethod
    def _has_shown(path: Path) -> None:
        path.asked_seq, path.asked_count, path.doubted_until = None, 0, float("inf")
        path.proven_flow = path.flow

    def hear(self, path: Path, header: Header, now: float) -> None:
        """KEEPALIVE or DATA of an up link's flow: a sign of life, unless it was sent before the peer asked again."""
        if path.asked_seq is not None:
            if header.seq < path.asked_seq:
                return
            self._has_shown(path)
            path.believed_at = now
        path.hear(now)
        if path.distrusted and not path.seems_unheard(now) and now >= path.trust_damping.until:
            path.distrusted, path.trusted_at = False, now
            self._changed()

    def forget(self, path: Path) -> None:
        """A peer that was answered, and never showed that it heard us, asks no more."""
        path.step(PathInput.LOSE)
        path.asked_seq, path.asked_count = None, 0
        self._tell(PathForgotten(path.number))

    def answer_stranger(self, path: Path, header: Header, address: Address, now: float, *, counted: bool) -> None:
        """Answers an authentic packet of a session that the link does not have: helps a living peer to begin anew.

        A server says DISCONNECT, or the client would wait out its timeout. It does not while the link lives: a recorded
        packet would buy its sender a valid DISCONNECT of ours.

        A client takes a foreign packet for a hint that the server has restarted, and asks where the server was. A
        replay gains nothing by that, and a lost AUTH_OK is asked for again. The client also asks where the packet came
        from. It does not while the link lives and the packet is not `counted`: its flow has no window, so it could come
        again and again. Whoever gets a fresh AUTH can pass it on to the server from his own address, and is taken for
        the client that has moved.
        """
        silent = not path.up or now >= path.heard_at + SILENCE
        if self._gate.is_server:
            if silent:
                self.tell_end(path, header, address, now)
        elif path.up and now >= path.last_auth_at + AUTH_INTERVAL:
            self.ask(path, now)
            if address != path.peer and (counted or silent):
                self._say(path, PacketType.AUTH, AUTH_PLAINTEXT, address=address)

    def tell_end(self, path: Path, header: Header, address: Address, now: float) -> None:
        """Says DISCONNECT to a peer that takes the link for up, as its traffic shows. Whoever asks gets no answer."""
        is_traffic = header.type == PacketType.KEEPALIVE or header.type == PacketType.DATA
        if is_traffic and path.ready and now >= path.last_disconnect_at + DISCONNECT_INTERVAL:
            path.last_disconnect_at = now
            self._say(path, PacketType.DISCONNECT, b"", address=address)

    # Up and down.

    def disable(self, path: Path, now: float) -> None:
        """An operator takes the link out of use; the peer is told, also one that may be about to come up."""
        if path.status and not path.up:
            self._say(path, PacketType.DISCONNECT, b"")
        path.last_disconnect_at = now
        self.go_down(path, DownReason.DISABLED, now, say_so=True)

    def _go_up(self, path: Path, now: float) -> None:
        was_up = path.up
        path.step(PathInput.AUTHENTICATE)
        path.heard_at = path.believed_at = now
        path.unanswered_auths = path.unanswered_told = 0
        self._has_shown(path)
        if was_up:
            if path.on_trial:  # its peer has not heard that it is up
                begin_trial(path, self._paths.values(), now)
            return
        path.up_at = path.judge_at = now
        if path.flow is not None:  # what an outage has lost says nothing of the line now
            path.measure_loss(path.flow.window.newest)
        begin_trial(path, self._paths.values(), now)
        path.heard_gap = KEEPALIVE_INTERVAL
        path.next_keepalive_at = now + KEEPALIVE_INTERVAL
        self._tell(PathUp(path.number))
        self._changed()
        self._receiver.update(now)

    def go_down(self, path: Path, reason: DownReason, now: float, *, say_so: bool) -> None:
        """The link carries nothing from now on. If it carried nothing before, nobody is told.

        A peer that has asked and was answered may still hear the answer: then it has only to speak.
        """
        waits = path.asked_seq is not None and reason in (DownReason.TIMEOUT, DownReason.UNHEARD)
        if not waits:
            path.asked_seq, path.asked_count = None, 0
        if not path.up:
            if path.status:
                path.step(PathInput.LOSE)
            return
        if say_so:
            self._say(path, PacketType.DISCONNECT, b"")
        path.step(PathInput.LOSE)
        if waits:
            path.step(PathInput.CALL)
        path.displaced = None
        path.distrusted = path.on_trial = False
        path.doubted_until = float("inf")
        path.disconnects += 1
        if reason not in (DownReason.CLOSED, DownReason.DISABLED):
            path.damping.end(now - path.up_at, now)
        self._tell(PathDown(path.number, reason))
        self._changed()
        self._receiver.lose(now)

    # What a client asks.

    def call(self, path: Path, now: float) -> None:
        """Asks on a link that is down and due to ask, or tells that nobody answers."""
        if path.step(PathInput.CALL) is PathStatus.DISCONNECTED:
            self._tell(PathCalling(path.number))
        if path.unanswered_auths - path.unanswered_told < UNANSWERED_AUTHS:
            self.ask(path, now)
        else:  # the driver may open another socket first, to get the answer there
            path.unanswered_told = path.unanswered_auths
            self._tell(PathUnanswered(path.number))

    @staticmethod
    def ask_again(path: Path, now: float) -> None:
        """Makes the link due to ask at once, or as soon as it may."""
        path.next_auth_at = max(now, path.last_auth_at + AUTH_INTERVAL, path.damping.until)

    def ask(self, path: Path, now: float) -> None:
        """Says AUTH."""
        if not path.greeted:
            # This resets an upstream server that was up with our last process; one that is down ignores it.
            path.greeted = True
            self._say(path, PacketType.DISCONNECT, b"")
        path.last_auth_at = now
        path.next_auth_at = now + AUTH_INTERVAL
        path.unanswered_auths += 1
        self._say(path, PacketType.AUTH, AUTH_PLAINTEXT)
        if path.up:  # or the server would believe that we have lost the link
            self._say(path, PacketType.KEEPALIVE, b"")
