"""A fast line goes at once while bulk waits for it. Then small packets leave by the slow line as before."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.support.lab import Lab, Line
from tests.support.traffic import TcpTransfer, UdpStream
from tests.support.tunnels import SERVER_INNER_IPV4, Tunnel, TunnelSpec, running_tunnel

pytestmark = [pytest.mark.netns, pytest.mark.quiet]

SOON = 0.025
"""Seconds that a small packet may wait at the sender."""
MACHINE = 0.1
"""Seconds that programs on a busy machine may wait."""
UPLOADS = 4
SECONDS = 7.0
CUT_AFTER = 3.0


def carrier_off(lab: Lab, tunnel: Tunnel) -> None:
    lab.line(1).client.set_carrier(up=False)
    tunnel.client.wait_for_log("link1 carrier ")


def address_gone(lab: Lab, tunnel: Tunnel) -> None:
    lab.line(1).client.remove_addresses()
    tunnel.client.wait_for_log("link1 address gone")


def removed(lab: Lab, tunnel: Tunnel) -> None:
    text = tunnel.client.config_path.read_text()
    begin, end = text.index("[link1]"), text.index("[link2]")
    tunnel.client.write_config(text[:begin] + text[end:])
    tunnel.client.reload()
    tunnel.client.wait_for_log("link1 ")


def disconnected(lab: Lab, tunnel: Tunnel) -> None:
    """The link is no longer in the server's file, and the server tells the client."""
    text = tunnel.server.config_path.read_text()
    begin, end = text.index("[link1]"), text.index("[link2]")
    tunnel.server.write_config(text[:begin] + text[end:])
    tunnel.server.reload()
    tunnel.client.wait_for_log("link1 disconnect received")


@pytest.mark.parametrize("cut", [carrier_off, address_gone, removed, disconnected])
@pytest.mark.parametrize("lines", [((100, 5), (2, 300)), ((150, 11), (5, 11))], ids=["unlike", "near"])
def test_what_is_small_is_not_behind_what_waited_for_the_fast_line(
    cut: Callable[[Lab, Tunnel], None], lines: tuple[tuple[int, float], tuple[int, float]]
) -> None:
    delay = max(line[1] for line in lines) / 1000
    with (
        Lab([Line(rate=rate, delay=delay) for rate, delay in lines]) as lab,
        running_tunnel(lab, TunnelSpec()) as tunnel,
    ):
        for seed in range(UPLOADS):  # nobody waits for their ends, because the slow line would need half a minute
            TcpTransfer(lab.client, lab.server, SERVER_INNER_IPV4, seconds=SECONDS, congestion="cubic", seed=seed)
        time.sleep(CUT_AFTER - 0.5)
        stream = UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=4, rate=50, size=60)
        time.sleep(0.5)
        cut(lab, tunnel)
        result = stream.wait()
        assert (result.duplicates, result.wrong) == (0, 0)
        assert result.longest_delay <= delay + SOON + MACHINE
        # The packets on the fast line are lost too, until the client knows that the line is gone.
        assert result.own_gap <= delay + SOON + 4 * MACHINE
