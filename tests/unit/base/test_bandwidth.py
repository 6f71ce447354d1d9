from __future__ import annotations

import pytest

from mlvpnd.base.bandwidth import MIN_LINE_RATE, parse_rate, remark


@pytest.mark.parametrize(
    "text",
    (
        "2500000 2500k 2500K 2.5M 2.5m 2.5MB 2.5MB/s 20Mbit 20Mbit/s 20MBit 0.02Gbit 20000kbit 20000000bit 2500000B"
        " 0.0025G 2500kbps 2.5Mbps 2.5mbps 2500000bps 2.5MBps 20mbit 20MBIT 0.00002Tbit 0.0000025T"
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
        *"-1 +1 1e6 .5M 5. M bit 20Mb 20mb 20E 20bits 20i 20ibit 0x10 1,5M 20MiM".split(),
        "9" * 16,
        "20Mbit/h",
        "\u0662\u0660",
    ],
)
def test_what_is_no_rate(text: str) -> None:
    assert parse_rate(text) is None


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("2Ki", 2048),
        ("2KiB", 2048),
        ("2kibps", 2048),
        ("16Kibit", 2048),
        ("1.5Mi", 1_572_864),
        ("1GiB/s", 2**30),
        ("0.001Ti", 1_099_511_628),
    ],
)
def test_prefixes_of_two_to_the_tenth(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


def test_bps_is_said_to_be_bytes() -> None:
    assert "160000000 bits" in remark(20_000_000, "20Mbps")
    assert remark(20_000_000, "20MBps") == remark(2_500_000, "20Mbit") == ""


def test_a_ratio_is_told_from_a_rate() -> None:
    assert "20Mbit" in remark(20)
    assert remark(MIN_LINE_RATE - 1)
    assert remark(MIN_LINE_RATE) == remark(0) == ""
