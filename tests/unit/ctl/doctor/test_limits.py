from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from mlvpnd.ctl.doctor.finding import Finding, ok
from mlvpnd.ctl.doctor.limits import Limits, NotFinished


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What a check waits for that hangs: nothing, until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_findings_come_when_they_are_made(stuck: threading.Event) -> None:
    def work() -> Iterator[Finding]:
        yield ok("a", "first")
        stuck.wait(30)
        yield ok("a", "second")

    began = time.monotonic()
    found = Limits(check=0.4, run=9).findings("a", "the name", work)
    assert next(found).text == "first"
    assert time.monotonic() - began < 0.3
    (cut,) = found
    assert (cut.severity.value, cut.check, cut.text) == ("warning", "a", "the name: not finished within 0.4 s")
    assert 0.3 < time.monotonic() - began < 3


def test_all_checks_together_have_a_limit(stuck: threading.Event) -> None:
    limits = Limits(check=0.3, run=0.5)

    def hang() -> Iterator[Finding]:
        stuck.wait(30)
        return iter(())

    texts = [one.text for name in "abc" for one in limits.findings("x", name, hang)]
    assert texts == [
        "a: not finished within 0.3 s",
        "b: not finished within the 0.5 s of a run",
        "c: not finished within the 0.5 s of a run",
    ]
    assert limits.left == 0


def test_what_is_finished_is_whole() -> None:
    many = [ok("a", str(number)) for number in range(100)]
    assert [*Limits().findings("a", "b", lambda: many)] == many


def test_values_and_errors(stuck: threading.Event) -> None:
    limits = Limits(check=0.2, run=9)
    assert limits.value(lambda: 7) == 7
    assert limits.value(lambda: None) is None

    def fail() -> int:
        raise KeyError("x")

    with pytest.raises(KeyError):
        limits.value(fail)
    with pytest.raises(NotFinished, match=r"^not finished within 0\.2 s$"):
        limits.value(lambda: stuck.wait(30))
