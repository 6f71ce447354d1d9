from __future__ import annotations

import pytest

from mlvpnd.base.bandwidth import MIN_LINE_RATE, parse_rate, remark


@pytest.mark.parametrize(
    "text",
    (
        "2500000 2500k 2500K 2.5M 2.5m 2.5MB 2.5MB/s 20Mbit 20Mbit/s 20MBit 0.02Gbit 20000kbit 20000000bit 2500000B"
        " 0.0025G"
    ).split(),
)
def test_one_rate_has_many_spellings(text: str) -> None:
    assert parse_rate(text) == 2_500_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20 Mbit up",
        "20  Mbit",
        *"-1 +1 1e6 .5M 5. M bit 20Mbps 20mbps 20Mb 20mb 20T 20bits 0x10 1,5M".split(),
        "9" * 16,
        "20Mbit/h",
        "\u0662\u0660",
    ],
)
def test_what_is_no_rate(text: str) -> None:
    assert parse_rate(text) is None


def test_a_ratio_is_told_from_a_rate() -> None:
    assert "20Mbit" in remark(20)
    assert remark(MIN_LINE_RATE - 1)
    assert remark(MIN_LINE_RATE) == remark(0) == ""
