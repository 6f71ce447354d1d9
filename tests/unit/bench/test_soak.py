"""What a soak makes of its samples."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.soak import INTERVAL, LIMIT, Reading, Sample, growth, has_grown, reading, report

MB = 1_000_000


def samples(resident: Sequence[int]) -> list[Sample]:
    """Samples of one daemon that carries 1 Mbit/s and drops ten packets a second."""
    return [
        Sample(number * INTERVAL, {"client": Reading(size, number, round(number * INTERVAL * 125_000), drops(number))})
        for number, size in enumerate(resident)
    ]


def drops(number: int) -> dict[str, int]:
    return {"queue_full": 100 + round(number * INTERVAL * 10), "replayed": 7}


def test_quarters_are_compared_by_their_medians() -> None:
    seen = samples([30 * MB, 40 * MB, 30 * MB, *[31 * MB] * 6, 31 * MB, 20 * MB, 31 * MB])
    assert growth(seen, "client") == (30 * MB, 31 * MB)
    assert not has_grown(seen, "client")


def test_more_than_the_limit_is_growth() -> None:
    for more, grown in ((LIMIT, False), (LIMIT + 1, True), (-2 * LIMIT, False)):
        assert has_grown(samples([30 * MB] * 4 + [30 * MB + more] * 4), "client") is grown


def test_a_report_goes_by_the_minute_and_by_cause() -> None:
    lines = report(samples([30 * MB] * 9)).splitlines()
    assert [line.split() for line in lines[1:3]] == [
        ["1", "|", "30.000", "1.00", "4", "10.0"],
        ["2", "|", "30.000", "1.00", "8", "10.0"],
    ]
    assert lines[3] == "client: 30.000 MB in the first quarter, 30.000 in the last: +0.000 (within 1)"
    assert lines[4:] == ["client: dropped      1200 queue_full"]


def test_what_was_dropped_is_of_all_links_and_of_the_interface() -> None:
    status = {
        "drops": {"queue_full": 5, "no_link": 1},
        "tunnels": [{"drops": {"replayed": 2, "queue_full": 1}}, {"drops": {"replayed": 3}}],
        "packets": {"tun_drops": {"full": 4}, "tun_written_bytes": 1000},
        "reorder": {"held": 6},
    }
    assert reading(status, 30 * MB) == Reading(
        30 * MB, 6, 1000, {"queue_full": 6, "no_link": 1, "replayed": 5, "tun_full": 4}
    )
