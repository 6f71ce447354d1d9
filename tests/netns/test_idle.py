"""The cost of many links that carry nothing."""

from __future__ import annotations

import time

import pytest

from tests.support.cpu import Pace, Processes
from tests.support.daemons import Daemon, config_text
from tests.support.lab import SERVER_IPV4, Lab, Line
from tests.support.tunnels import CLIENT_INNER_IPV4, FIRST_PORT, PASSWORD, SERVER_INNER_IPV4, link_name

pytestmark = [pytest.mark.netns, pytest.mark.quiet]

LINKS = 128
SETTLE = 8.0
"""Seconds after which no link is probed any more for having come up."""
SECONDS = 8.0
MOST = {"native": 0.03, "reference": 0.06}
"""Share of a core at the usual pace. The reference takes each KEEPALIVE in Python."""
PATIENCE = 60.0
"""Seconds in which all links come up on a busy machine."""


def config(end: str, lab: Lab, data_plane: str) -> str:
    """A configuration of links that all use one line, and differ by their ports."""
    keys: dict[str, object] = {
        "mode": end,
        "password": PASSWORD,
        "interface_name": "mlvpn0",
        "ip4": f"{SERVER_INNER_IPV4 if end == 'server' else CLIENT_INNER_IPV4}/24",
        "timeout": 10,
        "configure_interface": 1,
        "reorder_buffer_size": 512,
        "control_unix_path": lab.directory / f"{end}.control",
        "data_plane": data_plane,
    }
    links: dict[str, dict[str, object]] = {}
    for number in range(LINKS):
        where: dict[str, object] = {"bindhost": SERVER_IPV4, "bindport": FIRST_PORT + number}
        if end == "client":
            where = {"remotehost": SERVER_IPV4, "remoteport": FIRST_PORT + number}
        links[link_name(number + 1)] = {**where, "bandwidth_upload": 1_000_000}
    return config_text(keys, links)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("data_plane", MOST)
def test_idle_links_cost_next_to_nothing(data_plane: str) -> None:
    with Lab([Line(rate=1000, delay=1)]) as lab:
        daemons = [
            Daemon(host, lab.directory, end, config(end, lab, data_plane), control=lab.directory / f"{end}.control")
            for end, host in (("server", lab.server), ("client", lab.client))
        ]
        for daemon in daemons:
            daemon.start()
        for daemon in daemons:
            daemon.wait_links("connected", timeout=PATIENCE)
        time.sleep(SETTLE)
        used = Processes()
        for daemon in daemons:
            used.add(daemon.child_pid)
        began, before, pace = time.monotonic(), used.seconds(), Pace()
        while time.monotonic() < began + SECONDS:
            time.sleep(0.5)
            pace.look()
        part = (used.seconds() - before) / (time.monotonic() - began) / len(daemons)
        print(
            f"{data_plane}: {100 * part:.2f} % of a core for {LINKS} links, {pace.slowness:.2f} times as slow as usual"
        )
        assert part <= MOST[data_plane] * pace.slowness
        assert {link["disconnects"] for daemon in daemons for link in daemon.links().values()} == {0}
