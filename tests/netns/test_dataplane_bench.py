"""A few seconds of `make bench`: each kind of load runs and is counted, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mlvpnd.dataplane import choice
from tests.bench.dataplane import secretbox
from tests.bench.dataplane.cases import CIPHERS, NATIVE, OTHERS, RAW, REFERENCE
from tests.bench.dataplane.command import machine
from tests.bench.dataplane.outcome import Cell, Outcome
from tests.bench.dataplane.run import run
from tests.support.vpn_peers import PEERS, Peer

pytestmark = pytest.mark.netns

SECONDS = 1.0


def ran(case: str, peer: str) -> Outcome:
    outcome = run(Cell(case, peer, 1, SECONDS))
    print(outcome)
    assert not outcome.failure
    assert f"mlvpnd-{os.getpid()}-cables" not in subprocess.check_output(["ip", "netns"], text=True)
    assert not list(Path("/sys/fs/cgroup").glob(f"*/mlvpnd-bench-*-{os.getpid()}"))
    return outcome


@pytest.mark.parametrize("case", ["tcp-2-plain", "steady", "shaped", "idle"])
def test_each_load_on_the_reference_twin(case: str) -> None:
    values = ran(case, REFERENCE).values
    costs = [value for name, value in values.items() if name.startswith(("cpu_", "packet_", "share"))]
    assert all(cost > 0 for cost in costs)
    assert len(costs) == {"steady": 3, "idle": 0}.get(case, 2)
    assert 5 < values["memory"] < 100
    assert values["rtt_least"] > 0 if case == "idle" else values["mbit"] > 0


def test_the_status_names_the_twin_that_was_asked_for() -> None:
    outcome = run(Cell("tcp", NATIVE, 1, SECONDS))
    why = choice.why_not_native()
    if why:
        assert why in outcome.failure
    else:
        assert outcome.values["mbit"] > 0


def test_the_bare_cable() -> None:
    assert ran("idle", RAW).values["rtt_least"] > 0


@pytest.mark.parametrize("peer", CIPHERS)
def test_the_cipher_alone(peer: str) -> None:
    cost = ran("tcp", peer).values
    # A byte costs some cycles. A cost below a tenth of a cycle or above a hundred of them would be a mistake.
    assert 0.03 < cost["cpu_sender"] < 100
    assert 0.03 < cost["cpu_receiver"] < 100


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_other_vpns_run_or_say_what_is_missing(peer: type[Peer]) -> None:
    missing = [program for program in peer.programs if shutil.which(program) is None]
    outcome = run(Cell("tcp", peer.name, 1, SECONDS))
    if missing:
        assert outcome.failure == f"{missing[0]} is not installed"
    else:
        assert not outcome.failure
        assert outcome.values["mbit"] > 0
        assert outcome.values["cpu_receiver"] > 0


def test_the_machine_is_described() -> None:
    said = machine()
    assert "processors" in said
    assert "iperf 3." in said
    assert f"libsodium {secretbox.measure(0.01).version}" in said
    assert len(OTHERS) == len(PEERS)
