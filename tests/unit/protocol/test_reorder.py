"""The reorder buffer, one case after the other."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.reorder import JUMP, ReorderBuffer

WAIT = 0.1
TOP = (1 << 64) - 1


def name(seq: int) -> bytes:
    return b"%d" % seq


class Story:
    """A buffer that is fed by number and answers with numbers."""

    def __init__(self, size: int = 16, wait: float = WAIT) -> None:
        self.buffer = ReorderBuffer(size, wait)

    def push(self, *seqs: int, now: float = 0.0) -> list[int]:
        return [int(packet) for seq in seqs for packet in self.buffer.push(seq, name(seq), now)]

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


@pytest.mark.parametrize("new", [0, 5_000_000, 10 + JUMP, (1 << 63) + 7])
def test_a_peer_that_begins_anew(new: int) -> None:
    story = Story()
    old = 1_000_000 if new == 0 else 9
    story.push(old)
    story.push(old + 2)
    assert story.push(new) == [old + 2, new]
    assert story.push(new + 2) == []
    assert story.push(new + 1) == [new + 1, new + 2]


def test_a_restart_of_the_count_is_believed_when_it_is_near_too() -> None:
    """An upstream peer counts from 0: without a word its first packets would be late ones, and stay unsorted."""
    story = Story()
    story.push(500)
    story.push(502)
    assert story.flush() == [502]
    assert story.push(0) == [0]
    assert story.push(2, 1) == [1, 2]


def test_the_border_of_late_and_anew() -> None:
    story = Story()
    story.push(JUMP * 3)
    assert story.push(JUMP * 2 + 1) == [JUMP * 2 + 1]
    assert story.buffer.late == 1
    assert story.push(JUMP * 2) == [JUMP * 2]
    assert story.buffer.late == 1


def test_a_buffer_holds_something() -> None:
    with pytest.raises(ValueError, match="at least one packet"):
        ReorderBuffer(0, WAIT)
