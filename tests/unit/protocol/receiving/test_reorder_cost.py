"""What a hostile peer's packet costs in the reorder buffer, however large the buffer is and wherever the holes are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from time import process_time

import pytest

from mlvpnd.protocol.receiving.reorder import JUMP, ReorderBuffer

WAIT = 0.5
SMALL, LARGE = 256, 1 << 16
LINKS = 4
PACKETS = 8_000
MOST_GROWN = 6.0
"""Times the cost with `SMALL` that a packet may cost with `LARGE`: a heap is deeper, and caches are missed."""
MOST = 20e-6
"""Seconds of CPU time for a packet, where only this process runs."""
TRIES = 5
"""Runs, of which the quickest counts: others may run on this machine."""

Step = tuple[int, int, float]
"""A number, the link by which it comes, and when."""


def holes() -> Iterator[Step]:
    """Every second number is missing."""
    return ((2 * n, n % LINKS, 0.0) for n in count(1))


def filled() -> Iterator[Step]:
    """Many holes; then they are filled, from the first on."""
    half = PACKETS // 2
    yield from islice(holes(), half)
    yield from ((2 * n + 1, n % LINKS, 0.0) for n in range(half))


def lopsided() -> Iterator[Step]:
    """As `filled`, but the other links have brought one number each, and late."""
    half = PACKETS // 2
    yield from ((2 * n, 0, 0.0) for n in range(1, half))
    yield from ((2 * half + n, n, 0.0) for n in range(1, LINKS))
    yield from ((2 * n + 1, 0, 0.0) for n in range(half))


def descending() -> Iterator[Step]:
    """Numbers go back, from as far ahead as a number may be."""
    return ((JUMP - 1 - n % (JUMP - 2), n % LINKS, 0.0) for n in count(1))


def scattered() -> Iterator[Step]:
    """Numbers from all over the range that may be held."""
    return ((1 + n * 40503 % (JUMP - 2), n % LINKS, 0.0) for n in count())


def far_apart() -> Iterator[Step]:
    """Each number is as far ahead as it may be, counted from the one expected once the hole before is given up."""
    return ((n * (JUMP - 1), n % LINKS, n * WAIT) for n in count(1))


def colliding() -> Iterator[Step]:
    """Numbers with the same last bits, again and again a little farther on."""
    return ((n // 64 * 2 + n % 64 * 1024 + 2, n % LINKS, 0.0) for n in count())


def leaping() -> Iterator[Step]:
    """Each number begins a new count."""
    return ((n << 62, n % LINKS, 0.0) for n in count(1))


def wrapping() -> Iterator[Step]:
    """Holes on both sides of the last number that there is."""
    yield (1 << 64) - PACKETS, 0, 0.0
    yield from (((1 << 64) - PACKETS + 2 * n & (1 << 64) - 1, n % LINKS, 0.0) for n in count(1))


def straggling() -> Iterator[Step]:
    """By turns: a number that has come already, one from before the count, and one that begins a count."""
    return (((0, 5, 1 << 40)[n % 3], n % LINKS, 0.0) for n in count())


def due() -> Iterator[Step]:
    """Each hole has a deadline of its own, which comes while more packets come."""
    return ((2 * n, n % LINKS, n * WAIT / 5000) for n in count(1))


PATTERNS = (holes, filled, lopsided, descending, scattered, far_apart, colliding, leaping, wrapping, straggling, due)


def waiting(now: float) -> dict[int, float]:
    """One more link than there are, so that nothing but a deadline ends the wait."""
    return dict.fromkeys(range(LINKS + 1), 0.0)


def disorderly(now: float) -> dict[int, float]:
    """All links have overtaken, by more and more, so the hole is looked at for each of the links."""
    return {link: 0.1 + 1e-6 * (link + now) for link in range(LINKS)}


def orderly(now: float) -> dict[int, float]:
    """No link overtakes: a hole is given up when all links have passed it."""
    return dict.fromkeys(range(LINKS), 0.0)


def cost(steps: Iterable[Step], size: int, links: Callable[[float], dict[int, float]]) -> float:
    """Seconds for a packet. The links are told anew with each packet, because a peer can have it so."""
    buffer, given = ReorderBuffer(size, WAIT), list(islice(steps, PACKETS))
    began = process_time()
    buffer.push(0, b"", 0.0, 0)
    for number, link, now in given:
        buffer.set_links(links(now))
        buffer.expire(now)
        buffer.push(number, b"", now, link)
        buffer.deadline()
    buffer.expire(1e9)
    return (process_time() - began) / len(given)


@pytest.mark.parametrize("links", [waiting, disorderly, orderly], ids=lambda links: links.__name__)
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.__name__)
def test_a_packet_costs_the_same_at_any_size(
    pattern: Callable[[], Iterator[Step]], links: Callable[[float], dict[int, float]]
) -> None:
    for _ in range(TRIES):
        small, large = (cost(pattern(), size, links) for size in (SMALL, LARGE))
        if large <= MOST or large <= MOST_GROWN * small:
            break
    assert large <= MOST or large <= MOST_GROWN * small, (small, large)
