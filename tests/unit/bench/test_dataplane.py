"""What the bench of the data plane runs, reads, judges and writes, without a measurement."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.bench.dataplane import against
from tests.bench.dataplane.cases import (
    BOX,
    CASES,
    EVERY,
    LIMITS,
    NATIVE,
    OPENVPN,
    RAW,
    REFERENCE,
    SECRETBOX,
    SHAPED_SUM,
    TINC,
    Load,
)
from tests.bench.dataplane.command import cells, execute
from tests.bench.dataplane.judge import State, Verdict, verdicts
from tests.bench.dataplane.loads import Carried, carried
from tests.bench.dataplane.outcome import VALUES, Cell, Outcome, Recorder, Results
from tests.bench.dataplane.report import ROUNDS, limit_text, measured_text, number_text, text, write
from tests.bench.dataplane.run import of_strangers, of_tcp, of_udp
from tests.support.lab import LabError


def outcome(case: str, peer: str, round_: int = 1, **values: float) -> Outcome:
    return Outcome(Cell(case, peer, round_, 2.0), values)


def results(*outcomes: Outcome) -> Results:
    found = Results()
    for one in outcomes:
        found.add(one)
    return found


def verdict(found: Results, row: str, against: str = "") -> Verdict:
    (one,) = (one for one in verdicts(found) if one.limit.row == row and against in one.limit.against)
    return one


# Runs


def test_rounds_are_outermost_and_what_is_compared_with_comes_along() -> None:
    found = list(cells(("tcp", "idle"), (REFERENCE, OPENVPN), 2, 3.0))
    first = [("tcp", SECRETBOX), ("tcp", BOX), ("tcp", REFERENCE), ("tcp", OPENVPN), ("idle", RAW), ("idle", REFERENCE)]
    assert [(cell.case, cell.peer) for cell in found] == [*first, ("idle", OPENVPN)] * 2
    assert [cell.round for cell in found] == [1] * 7 + [2] * 7
    assert {cell.seconds for cell in found} == {3.0}


def test_every_limit_is_of_something_that_is_run() -> None:
    for limit in LIMITS:
        for figure in filter(None, (limit.figure, limit.base, limit.less)):
            assert figure.peer in CASES[figure.case].peers
            assert figure.value in VALUES
    rows = Counter(limit.figure.case for limit in LIMITS)
    assert set(rows) == set(CASES)


def test_what_is_known_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.dataplane.command.run", lambda cell: Outcome(cell))
    wanted = list(cells(("flood",), EVERY, 2, 1.0))
    found: list[Outcome] = []
    execute(wanted, found.append, {("flood", NATIVE, 1), ("flood", OPENVPN, 2)})
    assert {(one.cell.peer, one.cell.round) for one in found} == {(cell.peer, cell.round) for cell in wanted} - {
        (NATIVE, 1),
        (OPENVPN, 2),
    }


# What iperf3 says


def udp_report(packets: int, lost: int, seconds: float = 2.0) -> Mapping[str, object]:
    return {"end": {"streams": [{"udp": {"packets": packets, "lost_packets": lost, "seconds": seconds}}]}}


def test_iperf3_reports() -> None:
    tcp = {"end": {"sum_received": {"seconds": 2.0, "bytes": 10**9}, "sum_sent": {"retransmits": 7}}}
    assert carried(Load.TCP, tcp) == Carried(2.0, 10**9, retransmitted=7)
    assert carried(Load.FLOOD, udp_report(1000, 250)) == Carried(2.0, 750 * 64, 1000, 750)
    assert carried(Load.LARGE, udp_report(10, 0)) == Carried(2.0, 13000, 10, 10)
    with pytest.raises(LabError, match="iperf3: unable to connect"):
        carried(Load.TCP, {"error": "unable to connect"})


def test_costs() -> None:
    used = {"client": 3.0, "server": 2.0}
    tcp = of_tcp(Carried(4.0, 500_000_000, retransmitted=1), used)
    assert tcp == {"mbit": 1000.0, "again": 1.0, "cpu_sender": 6.0, "cpu_receiver": 4.0}
    udp = of_udp(Carried(10.0, 75_000 * 64, 100_000, 75_000), used, 80_000)
    assert (udp["rate"], udp["lost"], udp["share"]) == (7500.0, 25.0, 50.0)
    assert udp["packet_sender"] == pytest.approx(3e6 / 80_000)
    assert udp["packet_receiver"] == pytest.approx(2e6 / 75_000)
    assert of_udp(Carried(1.0, 0), used, 0)["rate"] == 0


def test_the_sum_of_the_shaped_lines() -> None:
    assert pytest.approx(100 * 1348 / 1486) == SHAPED_SUM


# Verdicts


def test_the_median_of_the_rounds_ratios_counts() -> None:
    row = "TCP throughput, 1 stream"
    rates = [(600.0, 100.0), (500.0, 100.0), (1400.0, 200.0)]
    runs = [
        outcome("tcp", peer, number, mbit=rate)
        for number, pair in enumerate(rates, start=1)
        for peer, rate in zip((NATIVE, OPENVPN), pair, strict=True)
    ]
    found = verdict(results(*runs), row)
    assert found.values == (6.0, 5.0, 7.0)
    assert found.state is State.HOLDS
    assert verdict(results(*runs[:4]), row).state is State.FAILS
    # A result of another round is no base.
    assert verdict(results(runs[0], runs[3]), row).state is State.NOT_RUN


def test_upper_limits_hold_at_the_limit() -> None:
    row = "TCP, 1 stream, 1 link: CPU-s per GB, receiver"
    box = outcome("tcp", SECRETBOX, cpu_sender=1.0, cpu_receiver=2.0)
    assert verdict(results(box, outcome("tcp", NATIVE, cpu_receiver=3.8)), row, "secretbox").state is State.HOLDS
    assert verdict(results(box, outcome("tcp", NATIVE, cpu_receiver=3.9)), row, "secretbox").state is State.FAILS


def test_the_raw_round_trip_is_taken_from_both() -> None:
    row = "least round trip, idle, less the raw link's"
    runs = [outcome("idle", peer, rtt_least=least) for peer, least in ((RAW, 10.0), (NATIVE, 120.0), (OPENVPN, 110.0))]
    found = verdict(results(*runs), row)
    assert found.median == pytest.approx(1.1)
    assert verdict(results(*runs[1:]), row).state is State.NOT_RUN
    at_once = [*runs[:2], outcome("idle", OPENVPN, rtt_least=10.0)]
    assert verdict(results(*at_once), row).state is State.NOT_RUN


def test_a_value_by_itself() -> None:
    assert verdict(results(outcome("tcp-8", NATIVE, memory=39.9)), "resident memory, 8 links up").state is State.HOLDS
    assert verdict(results(outcome("shaped", NATIVE, of_sum=0.96)), "2 x 50 Mbit/s, TCP: goodput").state is State.FAILS


# Files


def test_results_are_kept_and_a_failure_replaces_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("results") / "deep" / "dataplane.jsonl"
    cell = Cell("tcp", OPENVPN, 1, 2.0)
    for machine in ("one", "one", "two"):
        recorder = Recorder(path, machine)
    recorder.add(Outcome(cell, failure="no"))
    recorder.add(Outcome(cell, {"mbit": 5.0}, stolen=0.5))
    recorder.add(Outcome(cell, failure="again no"))
    recorder.add(Outcome(Cell("tcp", NATIVE, 1, 2.0), failure="why"))
    found = Results.load(path)
    assert found.machines == ["one", "two"]
    assert found.value("tcp", OPENVPN, 1, "mbit") == 5.0
    assert found.done() == {("tcp", OPENVPN, 1)}
    assert found.rounds() == [1]


def test_the_report_has_every_demand_and_says_what_did_not_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    failures = [
        Outcome(Cell(name, TINC, 1, 2.0), failure="cannot run: no program\nmore")
        for name, case in CASES.items()
        if TINC in case.peers
    ]
    runs = [
        outcome("shaped", NATIVE, cpu_sender=4.0, cpu_receiver=6.0, mbit=90.0),
        outcome("shaped", REFERENCE, cpu_sender=10.0, cpu_receiver=10.0, mbit=90.0),
        outcome("tcp", REFERENCE, cpu_sender=9.0, cpu_receiver=11.0, mbit=800.0),
        dataclasses.replace(
            outcome("tcp", OPENVPN, cpu_sender=10.0, cpu_receiver=9.0, mbit=300.0), stolen=0.1, busy=0.5
        ),
        Outcome(Cell("flood", OPENVPN, 1, 2.0), failure="iperf3: no answer"),
        outcome("udp", OPENVPN, lost=1.5),
        outcome("steady", OPENVPN, lost=0.5),
        outcome("flood", REFERENCE, lost=90.0),
    ]
    found = results(*failures, *runs)
    found.machines.append("2 processors")
    path = write(found, tmp_path_factory.mktemp("report") / "bench")
    assert path.name == "RESULTS.md"
    said = path.read_text()
    assert "- Machine: 2 processors.\n" in said
    assert f"**1 rounds instead of {ROUNDS}: a look, no result.**" in said
    assert "- **In 1 runs at a given rate more than 1 % was lost: they carried less.**\n" in said
    assert "- In 1 of them other guests took more than 5% of the machine.\n" in said
    assert "- **Before 1 of them the machine was more than 25% busy with something else.**\n" in said
    assert "- Did not run: tinc: cannot run: no program\n" in said
    assert "- Did not run: openvpn (flood): iperf3: no answer\n" in said
    assert f"Of {len(LIMITS)} demands: 1 hold, 1 do not hold, {len(LIMITS) - 2} were not run." in said
    row = "| 2 x 50 Mbit/s, TCP: CPU-s per GB, {} | ≤ 0.5 x reference | {} | {} |"
    assert row.format("sender", "0.4", "holds") in said
    assert row.format("receiver", "0.6", "**does not hold**") in said
    assert "| reference | 800 | 9 | 11 |" in said
    assert "| native | not run |" in said
    assert all(f"### {case.title}\n" in said for case in CASES.values())
    assert text(Results()).count("not run") >= len(LIMITS)


def test_numbers_in_words() -> None:
    assert [number_text(value) for value in (0.012345, 2.126, 45.67, 123.4, 15000.2)] == [
        "0.0123",
        "2.13",
        "45.7",
        "123",
        "15000",
    ]
    throughput = next(limit for limit in LIMITS if limit.row == "TCP throughput, 1 stream")
    memory = next(limit for limit in LIMITS if limit.row.startswith("resident"))
    assert limit_text(Verdict(throughput, ())) == "≥ 6 x OpenVPN"
    assert limit_text(Verdict(memory, ())) == "≤ 40 MB"
    assert measured_text(Verdict(throughput, (5.0, 7.0, 6.5))) == "6.5 (5-7)"
    assert measured_text(Verdict(throughput, ())) == "not run"


# Two builds


def test_two_builds_take_turns_and_each_begins() -> None:
    found = list(against.cells(("tcp", "idle"), NATIVE, 2, 1.0, Path("/old/mlvpn")))
    assert [(cell.case, cell.program) for cell in found] == [
        *(("tcp", "/old/mlvpn"), ("tcp", ""), ("idle", "/old/mlvpn"), ("idle", "")),
        *(("tcp", ""), ("tcp", "/old/mlvpn"), ("idle", ""), ("idle", "/old/mlvpn")),
    ]


def test_two_builds_are_compared_by_their_medians() -> None:
    found = [
        Outcome(Cell("tcp", NATIVE, number, 1.0, program), {"cpu_sender": cost, "mbit": 1.0})
        for program, costs in (("/old/mlvpn", (2.0, 9.0, 4.0)), ("", (3.0, 1.0, 5.0)))
        for number, cost in enumerate(costs, start=1)
    ]
    assert list(against.rows(found)) == [("tcp", "cpu_sender", 4.0, 3.0)]
    assert "| 4 | 3 | 0.750 |" in against.text(found)


def test_a_checkout_without_a_build_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        against.main([str(tmp_path)])
    assert refused.value.code == 2
    assert "build that checkout first" in capsys.readouterr().err


def test_the_cost_of_strangers_is_the_receivers() -> None:
    assert of_strangers(100_000, 2.0, {"client": 9.0, "server": 0.5}) == {"packet_receiver": 5.0, "share": 25.0}
