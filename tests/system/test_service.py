"""A tunnel as a unit: its start, its stop and its sandbox."""

from __future__ import annotations

import re
import time

from tests.support.lab import wait_until
from tests.support.services import INSTANCE, ROUTED, UNIT, Service, ServiceTunnel
from tests.support.tunnels import CLIENT_INNER_IPV4

DAEMON_EXPOSURE = 10
HELPER_EXPOSURE = 16
"""Tenths of the exposure level, as `systemd-analyze security --threshold=` takes them."""
HELPER = f"mlvpn-helper@{INSTANCE}.service"


def _failed_units(service: Service) -> str:
    return service.node.run("systemctl", "list-units", "--failed", "--no-legend", "--plain")


def _listening_since(service: Service) -> list[str]:
    """When the helpers' sockets became active. A restart of the sockets changes the time."""
    sockets = (f"mlvpn-{kind}@{INSTANCE}.socket" for kind in ("helper", "script"))
    return [service.node.show(unit, "ActiveEnterTimestampMonotonic") for unit in sockets]


def _left_units(service: Service) -> str:
    return service.node.run("systemctl", "list-units", "--no-legend", "--plain", "mlvpn*@*.service", "mlvpn*@*.socket")


def test_a_tunnel_carries_traffic_and_says_so(tunnel: ServiceTunnel) -> None:
    assert tunnel.ping() == 3
    assert sorted(tunnel.client.status_text().split()) == ["@link1", "@link2"]
    interface = tunnel.client.interface()
    assert f"{CLIENT_INNER_IPV4}/24" in interface["addresses"]
    assert ROUTED in interface["routes"]
    result = tunnel.download(2).wait()
    assert result.verified
    assert result.mbit > 10  # more than the slower line has, and less than both


def test_the_daemon_has_a_user_of_its_own_and_no_capability(end: Service) -> None:
    status = end.node.read(f"/proc/{end.pid}/status")
    user = end.node.run("id", "-u", "mlvpn").strip()
    assert re.search(rf"^Uid:\t{user}\t{user}\t{user}\t{user}$", status, re.M)
    for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert re.search(rf"^{name}:\t0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
    assert re.search(r"^Seccomp:\t2$", status, re.M)


def test_exposure_of_the_running_units(tunnel: ServiceTunnel) -> None:
    for unit, threshold in ((UNIT, DAEMON_EXPOSURE), (HELPER, HELPER_EXPOSURE)):
        tunnel.client.node.run("systemd-analyze", "security", "--no-pager", f"--threshold={threshold}", unit)


def test_a_stop_leaves_nothing_and_the_peer_knows_at_once(end: Service, tunnel: ServiceTunnel) -> None:
    other = tunnel.server if end is tunnel.client else tunnel.client
    end.ctl("stop")
    other.wait_links(*tunnel.links, mark="!", timeout=1.5)  # the timeout is 2 s
    assert end.state == "inactive"
    assert end.node.show(UNIT, "Result") == "success"
    assert _failed_units(end) == ""
    assert end.node.attempt("ip", "link", "show", INSTANCE).returncode
    # The helpers end after the daemon, and nobody waits for them.
    assert wait_until(lambda: _left_units(end) == "", 5), _left_units(end)
    assert end.node.run("find", "/run/mlvpn", "/run/mlvpn-helper").split() == ["/run/mlvpn", "/run/mlvpn-helper"]


def test_five_quick_restarts(tunnel: ServiceTunnel) -> None:
    before = tunnel.client.interface()
    for _ in range(5):
        tunnel.client.ctl("restart")
    tunnel.wait_up()
    assert tunnel.ping() == 3
    assert tunnel.client.interface() == before
    assert _failed_units(tunnel.client) == ""


def test_a_helper_that_is_killed_is_there_for_the_next_request(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.ctl("reload")
    client.node.run("systemctl", "kill", "--signal=KILL", HELPER)
    assert wait_until(lambda: client.node.show(HELPER, "ActiveState") != "active", 5)
    client.ctl("reload")
    assert client.node.show(HELPER, "ActiveState") == "active"
    assert tunnel.ping() == 3
    assert _failed_units(client) == ""


def test_a_wrong_name_fails_at_the_start(tunnel: ServiceTunnel) -> None:
    done = tunnel.client.node.attempt("systemctl", "start", "mlvpn@typo")
    assert done.returncode
    assert "Assertion failed" in done.stderr
    assert "typo" not in tunnel.client.node.run("systemctl", "list-units", "--no-legend", "--plain", "mlvpn*.socket")


def test_all_tunnels_are_restarted_and_reloaded_by_one_unit(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.node.run("systemctl", "start", "mlvpn.service")
    before = client.pid
    sockets = _listening_since(client)
    since = time.time()
    client.node.run("systemctl", "reload", "mlvpn.service")
    client.wait_entry("MLVPN_EVENT=reloaded", since=since)
    assert client.pid == before
    client.node.run("systemctl", "restart", "mlvpn.service")
    assert wait_until(lambda: client.pid not in (0, before), 5)
    tunnel.wait_up()
    assert _listening_since(client) == sockets, "the helpers are not restarted: the tunnels would wait for that"
