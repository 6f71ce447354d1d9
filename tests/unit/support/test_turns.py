"""Tests that run beside each other, and one that must not."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.support.turns import turn


def test_one_is_alone_and_nobody_overtakes_it(tmp_path: Path) -> None:
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with turn(tmp_path, alone=False):
            inside.set()
            assert leave.wait(10)
            order.append("first")

    def come(name: str, *, alone: bool) -> threading.Thread:
        def run() -> None:
            with turn(tmp_path, alone=alone):
                order.append(name)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(0.2)
        assert not order or not alone
        return thread

    first = threading.Thread(target=stay)
    first.start()
    assert inside.wait(10)
    beside = come("beside", alone=False)
    assert order == ["beside"]
    order.clear()
    others = [beside, come("alone", alone=True), come("later", alone=False)]
    assert order == []
    leave.set()
    for thread in (first, *others):
        thread.join(10)
    assert order == ["first", "alone", "later"]
