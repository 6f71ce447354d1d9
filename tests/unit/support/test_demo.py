"""What the demo makes of its measurements."""

from __future__ import annotations

import os

import pytest

from tests.support.demo import Row, Screen, main, table, verdicts
from tests.support.lab import LabError
from tests.support.transfer import TcpResult


def row(mbit: float, *, gap: float = 0.1, verified: bool = True, title: str = "row") -> Row:
    count = round(mbit * 1e6 / 8)
    error = "" if verified else "byte 5 is wrong"
    return Row(title, TcpResult(2 * count, 4.0, verified, gap, 0.0, count, 1.0, error))


def failed(alone: list[Row], bonded: Row, cut: Row) -> list[str]:
    return [text for passed, text in verdicts(alone, bonded, cut) if not passed]


def test_all_as_promised() -> None:
    assert failed([row(18), row(9)], row(26), row(20, gap=2.9)) == []


def test_a_bond_that_does_not_pay_off_fails() -> None:
    (problem,) = failed([row(18), row(9)], row(24), row(20))
    assert "1.33 x the faster link" in problem


def test_a_long_gap_fails() -> None:
    (problem,) = failed([row(18), row(9)], row(26), row(20, gap=3.0))
    assert "3.00 s" in problem


@pytest.mark.parametrize("bad", range(4))
def test_a_wrong_byte_anywhere_fails(bad: int) -> None:
    rows = [row(18, verified=bad != 0), row(9, verified=bad != 1)]
    (problem,) = failed(rows, row(26, verified=bad != 2), row(20, verified=bad != 3, title="cut"))
    assert "byte 5 is wrong" in problem


def test_nothing_moved_at_all() -> None:
    assert len(failed([row(0), row(0)], row(0), row(0))) == 1


def test_table_says_which_rows_failed() -> None:
    text = table([row(18.04, title="adsl1 alone (adsl2 cut)"), row(9, verified=False)])
    assert text.splitlines()[1].split() == "adsl1 alone (adsl2 cut) 18.0 9.0 0.10 s 4,510,000".split()
    assert text.splitlines()[-1].endswith("FAILED")


def test_exit_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def interrupted(_screen: Screen) -> bool:
        raise KeyboardInterrupt

    def broken(_screen: Screen) -> bool:
        raise LabError("no veth")

    assert main(lambda _screen: True) == 0
    assert main(lambda _screen: False) == 1
    assert main(interrupted) == 130
    assert main(broken) == 1
    assert "no veth" in capsys.readouterr().err


def test_without_root_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main() == 1
    assert capsys.readouterr().err.count("\n") == 1
