from __future__ import annotations

from mlvpnd.ctl.rates import HISTORY, RateBook, newest, sparkline

from .views import link_view

KEY = ("t", "a")


def test_rates_between_readings() -> None:
    book = RateBook()
    assert newest(book.sent(KEY)) == 0
    readings = ((10.0, 1000, 0), (12.0, 3000, 500), (14.0, 3000, 1500))
    for now, sent, received in readings:
        book.add(KEY, link_view("a", TxBytes=sent, RxBytes=received), now)
    assert book.sent(KEY) == [1000.0, 0.0]
    assert book.received(KEY) == [250.0, 500.0]


def test_counters_that_begin_anew() -> None:
    book = RateBook()
    for now, sent in ((1.0, 10_000), (2.0, 500)):
        book.add(KEY, link_view("a", TxBytes=sent, RxBytes=sent), now)
    assert book.sent(KEY) == [500.0]


def test_what_cannot_be_read_has_no_rate() -> None:
    book = RateBook()
    book.forget(KEY)
    assert book.sent(KEY) == []
    for now in (1.0, 2.0):
        book.add(KEY, link_view("a", TxBytes=now * 100, RxBytes=0), now)
    book.forget(KEY)
    book.add(KEY, link_view("a", TxBytes=10**9, RxBytes=0), 9.0)
    assert book.sent(KEY) == [100.0, 0.0]


def test_history_is_bounded() -> None:
    book = RateBook()
    for now in range(HISTORY + 50):
        book.add(KEY, link_view("a", TxBytes=now, RxBytes=0), float(now))
    assert len(book.sent(KEY)) == HISTORY


def test_bars() -> None:
    assert sparkline([0, 1, 50, 100], 6, 100) == "   ▁▄█"
    assert sparkline([1, 2, 3], 2, 3) == "▅█"
    assert sparkline([], 3, 0) == "   "
    assert sparkline([5], 0, 5) == ""
    assert sparkline([500], 1, 100) == "█"
