"""What the verbs do is tested against real services, in tests/bus/test_mlvpnctl.py."""

from __future__ import annotations

import pytest

from mlvpnd.ctl.errors import UsageError
from mlvpnd.ctl.verbs import parse_bandwidth


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0", 0), ("2500000", 2_500_000), ("2.5M", 2_500_000), ("20Mbit", 2_500_000), ("640kbit", 80_000), ("1k", 1000)],
)
def test_bandwidths(text: str, amount: int) -> None:
    assert parse_bandwidth(text) == amount


@pytest.mark.parametrize("text", ["", "-1", "1e6", "x", "5  M", "1.5.5", "2Mib", "4294967296", "999Gbit", "²"])
def test_what_is_no_bandwidth(text: str) -> None:
    with pytest.raises(UsageError):
        parse_bandwidth(text)
