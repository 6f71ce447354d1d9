from __future__ import annotations

from tests.bench.start import text


def test_ratios_are_those_of_medians() -> None:
    rounds = [(1.0, 2.0), (4.0, 1.0), (2.0, 3.0)]
    assert text({"daemon": rounds}).splitlines()[1].split() == ["daemon", "2.000", "2.000", "1.000"]
