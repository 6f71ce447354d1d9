"""How often something may be done."""

from __future__ import annotations

from mlvpnd.base.allowance import Allowances


def test_some_at_once_then_one_each_interval() -> None:
    some = Allowances(3, 2.0)
    done = [tick / 10 for tick in range(101) if some.take("a", tick / 10)]
    assert done == [0.0, 0.1, 0.2, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_each_key_has_its_own() -> None:
    some = Allowances(1, 1.0)
    assert [some.take(key, 0.0) for key in "abab"] == [True, True, False, False]


def test_when_it_may_be_done_next() -> None:
    some = Allowances(2, 1.0)
    assert some.at("a", 5.0) == 5.0
    assert some.take("a", 5.0)
    assert some.at("a", 5.0) == 5.0
    assert some.take("a", 5.0)
    assert some.at("a", 5.0) == 6.0
    assert not some.take("a", 5.99)
    assert some.take("a", 6.0)


def test_a_pause_gives_no_more_than_the_burst() -> None:
    some = Allowances(3, 1.0)
    assert sum(some.take("a", 1000.0) for _ in range(10)) == 3
    assert sum(some.take("a", 2000.0) for _ in range(10)) == 3


def test_any_number_of_keys_stays_small() -> None:
    some = Allowances(1, 1.0)
    for number in range(10_000):
        some.take(number, number / 1000)
    held = [number for number in range(10_000) if some.at(number, 9.999) > 9.999]
    assert held == list(range(9000, 10_000))  # keys that took something lately still wait
    assert len(some._next) < 2500
