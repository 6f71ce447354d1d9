"""Which link is found to lose what TCP sends again, and when this finding counts."""

from __future__ import annotations

import random

import pytest

from mlvpnd.protocol.sending.retransmissions import FORGET, REMEMBERED, WINDOW, Retransmissions

SIZE = 1500
TURN = 0.1


class Traffic:
    """Segments go over links by turns.

    Each is lost by its link's chance, and sent again a hundred segments later. A link's rate is `room` times all that
    is carried.
    """

    def __init__(self, *losses: float, room: float = 2.0) -> None:
        self.room = room
        self.seen = Retransmissions()
        self.losses = list(losses)
        self.now = 0.0
        self._chance = random.Random(1)
        self._next = 0
        self._again: list[tuple[int, bytes]] = []

    def carry(self, segments: int, *links: int) -> frozenset[int]:
        for turn in range(segments):
            if self._again and self._again[0][0] <= self._next:
                name = self._again.pop(0)[1]
            else:
                name = self._next.to_bytes(16)
            self._next += 1
            link = links[turn % len(links)]
            self.seen.sent(link, name, SIZE)
            if self._chance.random() < self.losses[link]:
                self._again.append((self._next + 100, name))
            if turn % 100 == 99:
                self.now += TURN
                self.judge()
        return self.seen.harmful

    def judge(self, *links: int) -> frozenset[int]:
        """Judges while these links alone carry, or all."""
        rate = int(self.room * 100 * SIZE / TURN)
        return self.seen.judge(dict.fromkeys(links or range(len(self.losses)), rate), self.now)


def test_the_link_that_loses_is_found_and_how_much_it_loses() -> None:
    traffic = Traffic(0.0, 0.01)
    assert traffic.carry(2000, 0, 1) == {1}
    traffic.carry(8000, 0, 1)
    assert traffic.seen.share(1) == pytest.approx(0.01, abs=0.004)
    assert traffic.seen.share(0) == 0


@pytest.mark.parametrize("losses", [(0.0, 0.0), (0.01, 0.01), (0.0, 0.0002)])
def test_links_that_are_alike_stay_so(losses: tuple[float, float]) -> None:
    traffic = Traffic(*losses)
    for _ in range(50):
        assert not traffic.carry(400, 0, 1)


def test_one_lost_segment_of_few_convicts_nobody() -> None:
    traffic = Traffic(0.0, 0.0)
    traffic.carry(1000, 0)
    for lost in (1, 2):
        for _ in range(2):
            traffic.seen.sent(1, lost.to_bytes(1), SIZE)
        traffic.now += TURN
        assert traffic.judge() == (set() if lost == 1 else {1})


def test_nobody_is_harmful_while_none_is_known_to_be_better() -> None:
    traffic = Traffic(0.0, 0.01)
    assert not traffic.carry(5000, 1)
    assert traffic.carry(1000, 0) == {1}
    assert not traffic.judge(1)


def test_a_link_that_is_full_all_the_same_is_left_as_it_is() -> None:
    bearing = Traffic(0.0, 0.01, room=0.5)
    for _ in range(20):
        assert not bearing.carry(400, 0, 1)
    bearing.room = 10.0  # as if other traffic came, which does not fill the link any more
    assert bearing.carry(2000, 0, 1) == {1}


def test_one_that_overflows_for_long_is_like_others_again() -> None:
    traffic = Traffic(0.0, 0.01)
    assert traffic.carry(2000, 0, 1) == {1}
    traffic.room = 0.5
    assert traffic.carry(500, 0, 1) == {1}
    assert not traffic.carry(2000, 0, 1)


def test_a_line_that_loses_no_more_is_cleared_by_what_it_carries() -> None:
    traffic = Traffic(0.0, 0.01)
    traffic.carry(4000, 0, 1)
    traffic.losses[1] = 0.0
    assert traffic.carry(200, 0, 1) == {1}
    assert not traffic.carry(2 * 4 * WINDOW // SIZE, 0, 1)


def test_and_by_time_where_it_carries_nothing() -> None:
    traffic = Traffic(0.0, 0.01)
    traffic.carry(4000, 0, 1)
    traffic.now += 0.5 * FORGET
    assert traffic.judge() == {1}
    traffic.now += 5 * FORGET
    assert not traffic.judge()


def test_a_link_that_comes_back_begins_anew() -> None:
    traffic = Traffic(0.0, 0.01)
    traffic.carry(4000, 0, 1)
    assert traffic.seen.share(1) > 0
    traffic.judge(0)
    assert not traffic.judge()
    assert traffic.seen.share(1) == traffic.seen.share(7) == 0


def test_what_left_long_ago_is_forgotten() -> None:
    seen = Retransmissions()
    for repeat in (REMEMBERED - 1, 2 * REMEMBERED):
        seen.sent(1, b"first", SIZE)
        for number in range(repeat):
            seen.sent(0, number.to_bytes(8), SIZE)
        seen.sent(0, b"first", SIZE)
        seen.judge({0: SIZE, 1: SIZE}, TURN)
        assert (seen.share(1) > 0) is (repeat < REMEMBERED)
        seen = Retransmissions()
