from __future__ import annotations

from mlvpnd.base.printable import printable


def test_what_could_disturb_is_escaped() -> None:
    assert printable("é 漢") == "é 漢"
    assert printable("a\x00\x1b\x7f\x85\u202e\udcff\U000e0001") == "a\\x00\\x1b\\x7f\\x85\\u202e\\udcff\\U000e0001"
