"""The state table of a link."""

from __future__ import annotations

import itertools

import pytest

from mlvpnd.protocol.links.path import TRANSITIONS, Path, PathInput, PathParameters, PathStatus
from mlvpnd.protocol.wire.replay import PeerFlow

JUDGEMENTS = (PathInput.LOSS_HIGH, PathInput.LOSS_FINE, PathInput.LATENCY_HIGH, PathInput.LATENCY_FINE)


def path_in(status: PathStatus) -> Path:
    path = Path(0, PathParameters("adsl", 10.0), 1, 0)
    path.status = status
    return path


@pytest.mark.parametrize(("status", "what"), itertools.product(PathStatus, PathInput))
def test_every_state_and_input_is_in_the_table_or_refused(status: PathStatus, what: PathInput) -> None:
    path = path_in(status)
    legal = not (what in JUDGEMENTS and not status.up) and not (what is PathInput.CALL and status.up)
    if legal:
        assert path.step(what) is status
        assert path.status is TRANSITIONS[status][what]
    else:
        with pytest.raises(KeyError):
            path.step(what)
        assert path.status is status


@pytest.mark.parametrize("status", PathStatus)
def test_what_authenticates_is_up_and_what_is_lost_is_down(status: PathStatus) -> None:
    path = path_in(status)
    path.step(PathInput.AUTHENTICATE)
    assert path.up
    path.step(PathInput.LOSE)
    assert path.status is PathStatus.DISCONNECTED


@pytest.mark.parametrize("status", [status for status in PathStatus if status.up])
@pytest.mark.parametrize("what", JUDGEMENTS, ids=lambda what: what.name)
def test_no_judgement_takes_a_link_down(status: PathStatus, what: PathInput) -> None:
    assert TRANSITIONS[status][what].up


@pytest.mark.parametrize(
    ("loss", "latency", "expected"),
    [
        (PathInput.LOSS_FINE, PathInput.LATENCY_FINE, PathStatus.AUTHOK),
        (PathInput.LOSS_FINE, PathInput.LATENCY_HIGH, PathStatus.HIGH_LATENCY),
        (PathInput.LOSS_HIGH, PathInput.LATENCY_FINE, PathStatus.LOSSY),
        (PathInput.LOSS_HIGH, PathInput.LATENCY_HIGH, PathStatus.LOSSY),
    ],
)
@pytest.mark.parametrize("status", [status for status in PathStatus if status.up])
def test_two_judgements_decide_whatever_was_before(
    status: PathStatus, loss: PathInput, latency: PathInput, expected: PathStatus
) -> None:
    path = path_in(status)
    path.step(loss)
    path.step(latency)
    assert path.status is expected


def test_upstreams_numbers() -> None:
    assert [(status.name, int(status), status.up) for status in PathStatus] == [
        ("DISCONNECTED", 0, False),
        ("AUTHSENT", 1, False),
        ("AUTHOK", 2, True),
        ("LOSSY", 3, True),
        ("HIGH_LATENCY", 4, True),
    ]


def test_only_authok_is_healthy() -> None:
    assert [path_in(status).healthy for status in PathStatus] == [False, False, True, False, False]


def test_a_new_flow_voids_what_was_measured() -> None:
    path = path_in(PathStatus.AUTHOK)
    path.begin_flow(PeerFlow(1, "adsl", 10), 10)
    path.rtt.update(50)
    assert path.loss is not None
    path.loss.received(60, 1.0)
    assert path.loss_percent > 0
    path.begin_flow(PeerFlow(2, "adsl", 5), 5)
    assert not path.rtt.has_sample
    assert path.loss_percent == 0


def test_without_a_peer_nothing_is_lost() -> None:
    assert path_in(PathStatus.DISCONNECTED).loss_percent == 0
