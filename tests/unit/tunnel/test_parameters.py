"""The configuration in the protocol's terms."""

from __future__ import annotations

import pytest

from mlvpnd.config import model
from mlvpnd.config.model import Config, DeviceKind, LinkConfig, Mode, Pacing, Peer
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.sending import sender
from mlvpnd.protocol.wire.box import derive_key
from mlvpnd.tunnel.parameters import pacing_line, path_parameters, session_parameters


def test_the_session() -> None:
    config = Config(Mode.SERVER, b"secret", tuntap=DeviceKind.TAP, reorder_buffer_size=7, pacing=Pacing.OFF)
    parameters = session_parameters(config)
    assert parameters.key == derive_key(b"secret")
    assert (parameters.is_server, parameters.layer2, parameters.cleartext_data) == (True, True, False)
    assert (parameters.reorder_size, parameters.pacing, parameters.peer_takes_first) == (7, False, False)
    assert session_parameters(Config(Mode.CLIENT, b"x", peer=Peer.MLVPND)).peer_takes_first


def test_a_link() -> None:
    link = LinkConfig("a", timeout=9, loss_tolerance=5, latency_tolerance=90, bandwidth_upload=3, priority=2)
    assert path_parameters(link) == PathParameters(
        "a", 9, loss_tolerance=5, latency_tolerance=90, bandwidth=3, priority=2
    )


@pytest.mark.parametrize(
    ("rates", "pacing", "line"),
    [
        ((16000, 2500000), Pacing.AUTO, "links are paced at bandwidth_upload"),
        ((2, 1), Pacing.AUTO, "bandwidth_upload is a weight: link a has less than 16000 bytes/s"),
        ((16000, 15999), Pacing.AUTO, "bandwidth_upload is a weight: link b has less than 16000 bytes/s"),
        ((16000, 2500000), Pacing.OFF, "bandwidth_upload is a weight: pacing is off"),
        ((2, 1), Pacing.OFF, "bandwidth_upload is a weight: pacing is off"),
    ],
)
def test_what_bandwidth_upload_means_is_said(rates: tuple[int, int], pacing: Pacing, line: str) -> None:
    links = tuple(LinkConfig(name, bandwidth_upload=rate) for name, rate in zip("ab", rates, strict=True))
    assert pacing_line(Config(Mode.CLIENT, b"x", pacing=pacing, links=links)) == line


def test_the_file_and_the_schedule_mean_the_same_by_a_rate() -> None:
    """Neither imports the other. What `check-config` and the log call a rate is a rate for the links, too."""
    assert model.MIN_PACED_RATE == sender.MIN_PACED_RATE
