"""The checks between a datagram and the session, in their order."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.links.gate import Admitted, Gate, Stranger
from mlvpnd.protocol.links.path import Path, PathParameters, PathStatus
from mlvpnd.protocol.wire.constants import HEADER_SIZE, SILENCE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import ELSEWHERE, PEER, HandPeer, with_type
from tests.support.session_pair import KEY, frame_of, packet_of

AUTH, AUTH_OK, KEEPALIVE, DATA, DISCONNECT, *_others = PacketType
ONE = packet_of(1)
OWN_FLOW = 77


class Entrance:
    """A server's gate and its links, and what comes in there."""

    def __init__(self, *, is_server: bool = True, layer2: bool = False, cleartext_data: bool = False) -> None:
        self.gate = Gate(KEY, is_server=is_server, layer2=layer2, cleartext_data=cleartext_data)
        self.adsl = Path(0, PathParameters("adsl", 5.0), self.gate.new_flow_id(lambda: OWN_FLOW), 0)
        self.wifi = Path(1, PathParameters("wifi", 5.0), OWN_FLOW + 1, 0)
        self.now = 100.0

    def admit(self, datagram: bytes, path: Path | None = None) -> Admitted | Stranger | DropReason:
        return self.gate.admit(path or self.adsl, datagram, PEER, (self.adsl, self.wifi), self.now)


def admitted(answer: Admitted | Stranger | DropReason) -> Admitted:
    assert isinstance(answer, Admitted)
    return answer


def test_auth_introduces_a_flow() -> None:
    entrance, peer = Entrance(), HandPeer()
    auth = admitted(entrance.admit(peer.auth()))
    assert (auth.packet, auth.flow.flow_id, auth.flow.link) == (b"AU", peer.flow_id, "adsl")
    assert auth.newest
    assert auth.authentic
    assert admitted(entrance.admit(peer.data(ONE))).packet == ONE


@pytest.mark.parametrize("packet_type", [AUTH_OK, KEEPALIVE, DATA, DISCONNECT])
def test_nothing_else_introduces_one_to_a_server(packet_type: PacketType) -> None:
    plaintext = {AUTH_OK: b"OK", DATA: ONE}.get(packet_type, b"")
    entrance, peer = Entrance(), HandPeer()
    assert isinstance(entrance.admit(peer.datagram(packet_type, plaintext)), Stranger)
    assert isinstance(entrance.admit(peer.datagram(packet_type, plaintext)), Stranger)


def test_auth_ok_introduces_one_to_a_client_that_has_asked() -> None:
    entrance, peer = Entrance(is_server=False), HandPeer()
    answer = peer.auth_ok()
    assert isinstance(entrance.admit(answer), Stranger)
    entrance.adsl.unanswered_auths = 1
    assert isinstance(entrance.admit(peer.auth()), Stranger)
    assert admitted(entrance.admit(answer)).newest


def test_late_but_new() -> None:
    entrance, peer = Entrance(), HandPeer()
    entrance.admit(peer.auth())
    late = peer.data(ONE)
    assert admitted(entrance.admit(peer.keepalive())).newest
    assert not admitted(entrance.admit(late)).newest


def test_a_reflection_is_not_even_opened() -> None:
    assert Entrance().admit(HandPeer(OWN_FLOW, key=bytes(32)).auth()) is DropReason.REFLECTED


def test_a_replay_is_not_even_opened() -> None:
    entrance, peer = Entrance(), HandPeer()
    entrance.admit(peer.auth())
    keepalive = peer.keepalive()
    entrance.admit(keepalive)
    assert entrance.admit(keepalive[:HEADER_SIZE] + bytes(16)) is DropReason.REPLAYED


def test_what_does_not_open_uses_no_number_up() -> None:
    entrance, peer = Entrance(), HandPeer()
    entrance.admit(peer.auth())
    keepalive = peer.keepalive()
    assert entrance.admit(keepalive[:-1] + bytes([keepalive[-1] ^ 1])) is DropReason.NOT_AUTHENTIC
    assert admitted(entrance.admit(keepalive)).newest


def test_a_changed_type_uses_no_number_up() -> None:
    entrance, peer = Entrance(), HandPeer()
    entrance.admit(peer.auth())
    data = peer.data(ONE)
    assert entrance.admit(with_type(data, DISCONNECT)) is DropReason.BAD_PLAINTEXT
    assert admitted(entrance.admit(data)).packet == ONE


def test_a_flow_belongs_to_its_link() -> None:
    entrance, peer = Entrance(), HandPeer()
    first = peer.auth()
    entrance.admit(first)
    assert entrance.admit(peer.keepalive(), entrance.wifi) is DropReason.WRONG_LINK
    assert entrance.admit(peer.data(ONE), entrance.wifi) is DropReason.WRONG_LINK
    assert entrance.admit(first, entrance.wifi) is DropReason.REPLAYED
    overtaken = peer.auth()
    entrance.admit(peer.keepalive())
    assert entrance.admit(overtaken, entrance.wifi) is DropReason.WRONG_LINK
    assert admitted(entrance.admit(overtaken)).flow.link == "adsl"


def test_a_new_auth_moves_a_flow() -> None:
    """Somebody was quicker with a recording on the wrong link. The living flow gets its own link all the same."""
    entrance, peer = Entrance(), HandPeer()
    entrance.admit(peer.auth(), entrance.wifi)
    assert entrance.admit(peer.keepalive()) is DropReason.WRONG_LINK
    assert admitted(entrance.admit(peer.auth())).flow.link == "adsl"
    assert admitted(entrance.admit(peer.keepalive())).newest
    assert entrance.admit(peer.keepalive(), entrance.wifi) is DropReason.WRONG_LINK


def test_a_living_flow_stays_where_it_was_first_seen() -> None:
    """An AUTH that was caught on one link cannot be played on another, as long as the flow lives on its own link."""
    entrance, peer = Entrance(), HandPeer()
    entrance.adsl.begin_flow(admitted(entrance.admit(peer.auth())).flow, peer.seq)
    entrance.adsl.status = PathStatus.AUTHOK
    entrance.adsl.heard_at = entrance.now
    caught = peer.auth()
    assert entrance.admit(caught, entrance.wifi) is DropReason.WRONG_LINK
    entrance.now += SILENCE
    assert admitted(entrance.admit(caught, entrance.wifi)).flow.link == "wifi"


def clear_entrance(peer: HandPeer) -> Entrance:
    """A gate that takes clear DATA, with `peer` up on adsl."""
    entrance = Entrance(cleartext_data=True)
    flow = admitted(entrance.admit(peer.auth())).flow
    entrance.adsl.begin_flow(flow, peer.seq)
    entrance.adsl.status = PathStatus.AUTHOK
    entrance.adsl.peer = PEER
    return entrance


def test_clear_data() -> None:
    peer = HandPeer()
    entrance = clear_entrance(peer)
    data = admitted(entrance.admit(peer.data(ONE, clear=True)))
    assert data.packet == ONE
    assert not data.authentic
    assert not data.newest


def test_clear_data_of_anyone_else() -> None:
    peer = HandPeer()
    entrance = clear_entrance(peer)
    paths = (entrance.adsl, entrance.wifi)
    datagram = peer.data(ONE, clear=True)
    assert entrance.gate.admit(entrance.adsl, datagram, ELSEWHERE, paths, 100.0) is DropReason.CLEAR_NOT_ALLOWED
    assert entrance.admit(HandPeer(0xBEEF, 1000).data(ONE, clear=True)) is DropReason.CLEAR_NOT_ALLOWED
    assert entrance.admit(datagram, entrance.wifi) is DropReason.WRONG_LINK
    assert entrance.admit(peer.datagram(DATA, b"no packet", clear=True)) is DropReason.BAD_PLAINTEXT
    assert admitted(entrance.admit(datagram)).packet == ONE
    assert entrance.admit(datagram) is DropReason.REPLAYED


def test_clear_data_where_it_must_be_boxed_and_the_other_way_round() -> None:
    entrance, peer = Entrance(), HandPeer()
    entrance.admit(peer.auth())
    assert entrance.admit(peer.data(ONE, clear=True)) is DropReason.NOT_AUTHENTIC
    peer = HandPeer()
    assert clear_entrance(peer).admit(peer.data(ONE)) is DropReason.BAD_PLAINTEXT


def test_frames_and_packets() -> None:
    entrance, peer = Entrance(layer2=True), HandPeer()
    entrance.admit(peer.auth())
    assert admitted(entrance.admit(peer.data(frame_of(1)))).packet == frame_of(1)
    entrance, peer = Entrance(), HandPeer()
    entrance.admit(peer.auth())
    assert entrance.admit(peer.data(frame_of(1))) is DropReason.BAD_PLAINTEXT


def test_another_key_keeps_what_is_known() -> None:
    entrance, peer = Entrance(), HandPeer()
    auth = peer.auth()
    entrance.admit(auth)
    entrance.gate.reconfigure(bytes(32), is_server=True, cleartext_data=False)
    assert entrance.admit(auth) is DropReason.REPLAYED
    assert entrance.admit(peer.keepalive()) is DropReason.NOT_AUTHENTIC
    renewed = HandPeer(peer.flow_id, peer.seq, key=bytes(32))
    assert admitted(entrance.admit(renewed.keepalive())).newest
