"""The reorder buffer, one case after the other."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.receiving.reorder import JUMP, STRAYS, ReorderBuffer

WAIT = 0.1
TOP = (1 << 64) - 1
OTHER = 9
"""A link that never brings anything: every hole waits for it until its deadline."""


def name(seq: int) -> bytes:
    return b"%d" % seq


class Story:
    """A buffer that takes numbers, over link 0 if no other is said, and answers with numbers."""

    def __init__(self, size: int = 16, wait: float = WAIT, links: dict[int, float] | None = None) -> None:
        self.buffer = ReorderBuffer(size, wait)
        self.buffer.set_links({0: 0.0, OTHER: 0.0} if links is None else links)

    def push(self, *seqs: int, now: float = 0.0, link: int = 0) -> list[int]:
        return [int(packet) for seq in seqs for packet in self.buffer.push(seq, name(seq), now, link)]

    def expire(self, now: float) -> list[int]:
        return [int(packet) for packet in self.buffer.expire(now)]

    def flush(self) -> list[int]:
        return [int(packet) for packet in self.buffer.flush()]


def test_what_is_in_order_leaves_at_once() -> None:
    story = Story()
    assert story.push(1) == [1]
    assert story.push(2, 3) == [2, 3]
    assert story.buffer.deadline() is None


def test_what_is_early_waits_for_the_hole() -> None:
    story = Story()
    story.push(1)
    assert story.push(3, 5, 4) == []
    assert story.push(2) == [2, 3, 4, 5]
    assert len(story.buffer) == 0


def test_the_first_packet_sets_the_count() -> None:
    assert Story().push(1_000_000) == [1_000_000]


def test_the_deadline_counts_from_when_the_hole_opened() -> None:
    """Upstream's timer begins anew with each packet: under steady traffic it never fires."""
    story = Story(size=1000)
    story.push(1, now=0.0)
    for number in range(99):
        assert story.push(3 + number, now=0.001 * number) == []
        assert story.buffer.deadline() == WAIT
    assert story.expire(WAIT - 0.0001) == []
    assert story.expire(WAIT) == list(range(3, 102))
    assert (story.buffer.timeouts, story.buffer.deadline()) == (1, None)


def test_the_next_hole_has_its_own_deadline() -> None:
    story = Story()
    story.push(1)
    story.push(3, now=0.0)
    story.push(5, now=0.04)
    assert story.push(2, now=0.05) == [2, 3]
    assert story.buffer.deadline() == pytest.approx(0.04 + WAIT)
    assert story.expire(0.14) == [5]


def test_several_holes_end_together_when_all_are_due() -> None:
    story = Story()
    story.push(1)
    story.push(3, 5, 7, now=0.0)
    assert story.expire(5.0) == [3, 5, 7]
    assert story.buffer.timeouts == 3


def test_late_packets_leave_at_once_and_only_once() -> None:
    story = Story()
    story.push(1)
    story.push(3)
    assert story.expire(WAIT) == [3]
    assert story.push(2) == [2]
    assert story.buffer.late == 1
    assert story.push(4) == [4]
    assert story.flush() == []


def test_the_same_number_waits_only_once() -> None:
    story = Story()
    story.push(1)
    assert story.push(3, 3) == []
    assert story.buffer.duplicates == 1
    assert story.push(2) == [2, 3]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 64, 100, 513, 1000])
def test_any_size_holds_as_many_as_it_says(size: int) -> None:
    story = Story(size=size)
    story.push(0)
    assert story.push(*range(2, 2 + size)) == []
    assert len(story.buffer) == size
    assert story.push(2 + size) == list(range(2, 3 + size))


def test_a_full_buffer_gives_up_its_first_hole_only() -> None:
    story = Story(size=3)
    story.push(0)
    assert story.push(2, 4, 6) == []
    assert story.push(8) == [2]
    assert story.push(3) == [3, 4]
    assert len(story.buffer) == 2


def test_without_wait_nothing_is_held() -> None:
    story = Story(wait=0.0)
    story.push(1)
    assert story.push(3, 5, 2, 4) == [3, 5, 2, 4]


def test_a_shorter_wait_counts_for_an_open_hole() -> None:
    story = Story()
    story.push(1)
    story.push(3)
    story.buffer.wait = 0.01
    assert story.buffer.deadline() == 0.01
    assert story.expire(0.01) == [3]


def test_wraparound() -> None:
    story = Story()
    assert story.push(TOP - 1) == [TOP - 1]
    assert story.push(0, 1) == []
    assert story.push(TOP) == [TOP, 0, 1]
    assert story.push(3, 2) == [2, 3]


def test_a_flush_over_the_wraparound_is_in_order() -> None:
    story = Story()
    story.push(TOP - 2)
    story.push(1, TOP, 0)
    assert story.flush() == [TOP, 0, 1]


@pytest.mark.parametrize("new", [5_000_000, 10 + JUMP, (1 << 63) + 7])
def test_a_number_far_ahead_begins_a_new_count(new: int) -> None:
    story = Story()
    story.push(9)
    story.push(11)
    assert story.push(new) == [11, new]
    assert story.push(new + 2) == []
    assert story.push(new + 1) == [new + 1, new + 2]


def test_stragglers_of_the_old_count_leave_at_once_and_move_nothing() -> None:
    story = Story()
    story.push(9)
    story.push(5_000_000)
    assert story.push(5_000_002) == []
    assert story.push(10, 12, 11) == [10, 12, 11]
    assert story.push(5_000_001) == [5_000_001, 5_000_002]
    assert story.buffer.late == 0


def test_where_nothing_but_stragglers_comes_they_are_the_count() -> None:
    """A number that somebody changed on the way must not spoil the order for ever."""
    story = Story()
    story.push(9)
    story.push(5_000_000)
    story.push(5_000_002)
    stragglers = list(range(10, 10 + STRAYS))
    assert story.push(*stragglers) == [*stragglers[:-1], 5_000_002, stragglers[-1]]
    assert story.push(11 + STRAYS, 10 + STRAYS) == [10 + STRAYS, 11 + STRAYS]


def test_where_nothing_but_repetitions_comes_the_peer_counts_anew() -> None:
    story = Story()
    story.push(*range(1000))
    assert story.push(*range(STRAYS + 10)) == list(range(STRAYS - 1, STRAYS + 10))
    assert story.buffer.duplicates == STRAYS - 1


def test_a_restart_of_the_count_is_believed_when_it_is_near_too() -> None:
    """An upstream peer counts from 0. If nobody said so, its first packets would be late ones, and stay unsorted."""
    story = Story()
    story.push(500)
    story.push(502)
    assert story.flush() == [502]
    assert story.push(0) == [0]
    assert story.push(2, 1) == [1, 2]


def test_what_came_already_leaves_no_second_time() -> None:
    story = Story()
    story.push(1, 2, 4)
    assert story.expire(WAIT) == [4]
    assert story.push(2, 4, 3, 3) == [3]
    assert (story.buffer.duplicates, story.buffer.late) == (3, 1)


@pytest.mark.parametrize("first", [0, JUMP - 2, TOP - 1])
def test_every_number_of_the_last_65536_is_known(first: int) -> None:
    story = Story(wait=0.0)
    numbers = [(first + number) & TOP for number in range(JUMP + 10)]
    missing = {numbers[5], numbers[6], numbers[1000], numbers[JUMP]}
    story.push(*(number for number in numbers if number not in missing))
    known = numbers[10:]
    assert story.push(*(number for number in known if number in missing)) == [numbers[1000], numbers[JUMP]]
    for number in (known[0], known[500], numbers[1000], known[-1]):
        assert story.push(number) == []


def test_the_border_of_late_and_straggler() -> None:
    story = Story()
    story.push(JUMP * 3)
    assert story.push(JUMP * 2 + 1) == [JUMP * 2 + 1]
    assert story.buffer.late == 1
    assert story.push(JUMP * 2, JUMP * 2) == [JUMP * 2, JUMP * 2]
    assert story.buffer.late == 1


def test_a_buffer_holds_something() -> None:
    with pytest.raises(ValueError, match="at least one packet"):
        ReorderBuffer(0, WAIT)


# When every link has brought more.


def test_one_link_in_order_loses_a_packet_and_its_next_tells() -> None:
    story = Story(links={0: 0.0})
    assert story.push(1, 3, 6, 7) == [1, 3, 6, 7]
    assert story.buffer.deadline() is None
    assert (story.buffer.timeouts, story.buffer.late) == (0, 0)


def test_a_hole_is_given_up_when_the_last_of_the_links_has_brought_more() -> None:
    story = Story(links={0: 0.0, 1: 0.0, 2: 0.0})
    story.push(1)
    assert story.push(3, 4, link=0) == []
    assert story.push(6, link=1) == []
    assert story.push(9, link=2) == [3, 4]
    assert story.push(7, link=0) == [6, 7]
    assert story.buffer.timeouts == 0


def test_a_link_that_is_not_waited_for_may_bring_what_is_missing_all_the_same() -> None:
    story = Story(links={0: 0.0, 1: 0.0})
    story.push(1)
    assert story.push(3, link=0) == []
    assert story.push(4, link=7) == []
    assert story.push(2, link=7) == [2, 3, 4]


def test_a_link_that_reorders_is_given_its_time() -> None:
    story = Story(links={0: 0.004, 1: 0.0})
    story.push(1)
    story.push(3, now=0.0, link=0)
    assert story.push(4, now=0.001, link=1) == []
    assert story.buffer.deadline() == pytest.approx(0.004)
    assert story.push(2, now=0.003, link=0) == [2, 3, 4]
    story.push(6, now=0.010, link=1)
    story.push(7, now=0.012, link=0)
    assert story.buffer.deadline() == pytest.approx(0.016)
    assert story.expire(0.0159) == []
    assert story.expire(0.016) == [6, 7]
    assert story.buffer.timeouts == 0


def test_disorder_does_not_lengthen_the_deadline() -> None:
    story = Story(links={0: 10.0})
    story.push(1, 3)
    assert story.buffer.deadline() == WAIT


def test_the_end_of_a_link_ends_the_waiting_for_it() -> None:
    story = Story()
    story.push(1)
    story.push(3, now=0.01)
    story.buffer.set_links({0: 0.0})
    due = story.buffer.deadline()
    assert due is not None
    assert due <= 0.01
    assert story.expire(0.01) == [3]


def test_a_new_link_is_waited_for() -> None:
    story = Story(links={0: 0.0})
    story.push(1, 3)
    story.buffer.set_links({0: 0.0, 1: 0.0})
    assert story.push(5, link=0) == []
    assert story.push(4, link=1) == [4, 5]


def test_what_a_link_brought_before_a_new_count_says_nothing_of_that() -> None:
    story = Story(links={0: 0.0, 1: 0.0})
    story.push(1)
    story.push(900, link=1)
    assert story.flush() == [900]
    story.push(0)
    assert story.push(2) == []
    assert story.push(3, link=1) == [2, 3]


# Whether the peer counts anew.


@pytest.mark.parametrize(
    ("data_seq", "now", "anew"),
    [
        (502, 0.0, False),
        (506, 0.0, False),
        (501 + JUMP - 1, 0.0, False),
        (500 + 2 * JUMP, 0.0, True),
        (500, 0.0, True),
        (495, 0.0, True),
        (499, 9.0, None),
        (480, 0.5, None),
        (480, 1.0, True),
        (TOP - 5 * JUMP, 0.0, True),
    ],
)
def test_a_number_that_has_been_sent_is_of_another_count(data_seq: int, now: float, anew: bool | None) -> None:
    story = Story(links={0: 0.0})
    story.push(*range(490, 499), 500, 501, now=0.0)
    assert story.buffer.is_anew(data_seq, now, 1.0) is anew


def test_what_sets_the_count_is_not_of_another() -> None:
    assert Story().buffer.is_anew(5, 0.0, 1.0) is False
