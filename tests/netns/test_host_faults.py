"""Faults of operators' hosts, each made in a namespace: what `mlvpnctl doctor` finds, and whether its commands mend it.

docs/doctor.md has a row for each fault here; `tests/unit/test_doctor_table.py` compares them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest

from tests.netns import host_faults as made
from tests.netns.host_faults import COMMAND, NAME, OF_THE_MACHINE, Fault, Finding, Scene, chain, typed
from tests.support.lab import SERVER_IPV4, Lab, Line
from tests.support.traffic import ping
from tests.support.tunnels import SERVER_INNER_IPV6, TunnelSpec

pytestmark = pytest.mark.netns

BOUND = {f"link{number}": {"binddevice": f"adsl{number}", "bindhost": None} for number in (1, 2)}
NAMED = {f"link{number}": {"remotehost": NAME} for number in (1, 2)}
ALL4, ALL6 = "0.0.0.0/1 128.0.0.0/1", "::/1 8000::/1"

FAULTS = (
    Fault("tun device", typed("rm /dev/net/tun"), "tun-device", "without it no tunnel has an interface", mends=True),
    Fault("user", made.nothing, "user", "there is no user mlvpn", mends=True),
    Fault("connections", made.connections_full, "conntrack", "table of connections is full"),
    Fault("file mode", typed("chmod 644 {file}"), "config", "others have access to it (mode 0644)", mends=True),
    Fault("file owner", typed("chown 12345 {file}"), "config", "it belongs to user 12345", mends=True),
    Fault("file missing", typed("rm {file}"), "config", "does not exist"),
    Fault("file error", typed("sed -i s/client/clinet/ {file}"), "config", "mode"),
    Fault(
        "script mode",
        typed("chmod 757 {directory}/client.status"),
        "status-command",
        "the status command would not be run",
        mends=True,
        spec=TunnelSpec(scripted=True),
    ),
    Fault(
        "nobody configures",
        made.nothing,
        "status-command",
        "nobody configures the interface",
        spec=TunnelSpec(general={"configure_interface": 0}),
    ),
    Fault(
        "interface missing",
        made.nothing,
        "interface",
        "there is no interface wwan0",
        links=("link1",),
        spec=TunnelSpec(client_links={"link1": {"binddevice": "wwan0"}}),
    ),
    Fault(
        "interface down",
        typed("ip link set adsl2 down"),
        "interface",
        "adsl2 is switched off",
        links=("link2",),
        mends=True,
    ),
    Fault("no carrier", made.carrier_lost, "interface", "adsl2 has no carrier", links=("link2",)),
    Fault(
        "address gone",
        made.address_gone,
        "address",
        "no interface of this host has its bindhost 198.18.1.2",
        links=("link1",),
        mends=True,
        spec=TunnelSpec(client_links={"link1": {"binddevice": "adsl1"}}),
    ),
    Fault(
        "device without a route",
        typed(
            *(f"ip rule del from 198.18.{n}.0/24" for n in (1, 2)),
            *(f"ip route flush table {100 + n}" for n in (1, 2)),
            *(f"ip route del default dev adsl{n}" for n in (1, 2)),
        ),
        "route",
        f"there is no route to the peer {SERVER_IPV4}",
        links=("link1", "link2"),
        mends=True,
        spec=TunnelSpec(client_links=BOUND),
        known={f"GATEWAY dev adsl{n}": f"198.18.{n}.1 dev adsl{n}" for n in (1, 2)},
    ),
    Fault(
        "lines without tables",
        typed(
            *(f"ip rule del from 198.18.{n}.0/24" for n in (1, 2)),
            *(f"ip route flush table {100 + n}" for n in (1, 2)),
        ),
        "route",
        "leave by adsl1 and not by adsl2",
        links=("link2",),
        mends=True,
    ),
    Fault(
        "into the tunnel",
        typed(f"ip route add {SERVER_IPV4} dev mlvpn0 table 101", start=True),
        "route",
        "into the tunnel's own interface mlvpn0",
        links=("link1",),
        mends=True,
    ),
    Fault(
        "strict rp_filter",
        typed("ip rule del from 198.18.2.0/24", "sysctl -w net.ipv4.conf.adsl2.rp_filter=1"),
        "rp-filter",
        "rp_filter is strict",
        links=("link2",),
        mends=True,
        spec=TunnelSpec(client_links=BOUND),
    ),
    Fault("line's MTU", typed("ip link set adsl2 mtu 1492"), "mtu", "'mtu = 1420'", links=("link2",)),
    Fault(
        "bridge's MTU",
        made.bridged,
        "bridge-mtu",
        "takes 1500 bytes",
        spec=TunnelSpec(general={"tuntap": "tap"}),
    ),
    Fault(
        "look-up hangs",
        made.silent_name_server,
        "look-up",
        f"link1 and link2: {NAME} cannot be looked up: not finished within 3 s",
        spec=TunnelSpec(client_links=NAMED),
    ),
    Fault(
        "look-up fails",
        made.nothing,
        "look-up",
        f"link1 and link2: {NAME} cannot be looked up",
        spec=TunnelSpec(client_links=NAMED),
    ),
    Fault(
        "stale address",
        made.renamed,
        "stale-remote",
        f"the link goes to {SERVER_IPV4}, but {NAME} is 198.19.0.9 now",
        links=("link2",),
        spec=TunnelSpec(client_links={"link2": {"remotehost": NAME}}),
    ),
    Fault("port taken", made.port_taken, "port", "UDP port 5081 is taken by", end="server", links=("link2",)),
    Fault("runs already", made.runs_unseen, "port", "UDP ports 5080, 5081 are taken by mlvpn", end="server"),
    Fault(
        "firewall of the server",
        typed(*chain("input", "drop"), "nft add rule inet filter input tcp dport 22 accept", end="server"),
        "firewall",
        "no rule in it accepts UDP port 5080, 5081",
        end="server",
        mends=True,
    ),
    Fault(
        "firewall of the client",
        typed(*chain("input", "drop"), "nft add rule inet filter input iifname lo accept"),
        "firewall",
        "no rule in it accepts the peer's answers",
        mends=True,
        beside=frozenset({"peer"}),  # the server does not run
    ),
    Fault(
        "firewall's rule",
        typed(*chain("input", "accept"), "nft add rule inet filter input udp dport 5081 drop", end="server"),
        "firewall",
        "drops UDP port 5081",
        end="server",
        links=("link2",),
        mends=True,
    ),
    Fault(
        "firewall rejects the rest",
        typed(
            *chain("input", "accept"),
            "nft add rule inet filter input tcp dport 22 accept",
            "nft add rule inet filter input reject",
            end="server",
        ),
        "firewall",
        "no rule in it accepts UDP port 5080, 5081",
        end="server",
        mends=True,
    ),
    Fault(
        "firewall of outgoing packets",
        typed(*chain("output", "accept"), "nft add rule inet filter output udp dport 5080-5081 drop"),
        "peer",
        "link1 and link2: a firewall refuses packets",
    ),
    Fault(
        "no forwarding",
        lambda scene: made.for_others(scene, "203.0.113.9", ipv6=False),
        "forwarding",
        "forwarding of IPv4 is off, and",
        end="server",
        mends=True,
    ),
    Fault(
        "no forwarding of IPv6",
        lambda scene: made.for_others(scene, "2001:db8:abc::9", ipv6=True),
        "forwarding",
        "forwarding of IPv6 is off, and",
        end="server",
        mends=True,
    ),
    Fault(
        "no NAT",
        typed("sysctl -w net.ipv4.ip_forward=1", "ip route add default dev wan1", end="server", start=True),
        "nat",
        "private addresses 10.42.0.0/24",
        end="server",
        mends=True,
    ),
    Fault(
        "forward chain",
        typed(
            "sysctl -w net.ipv4.ip_forward=1",
            *chain("forward", "drop", "ip filter", "FORWARD"),
            "nft add rule ip filter FORWARD iifname docker0 accept",
            end="server",
            start=True,
        ),
        "forward-chain",
        "no rule in it lets through what comes out of mlvpn0",
        end="server",
        mends=True,
    ),
    Fault(
        "segments",
        typed(*chain("forward", "drop"), "nft add rule inet filter forward tcp dport 80 accept", start=True),
        "mss",
        "mss_clamp is off",
        spec=TunnelSpec(client={"mss_clamp": "off"}),
    ),
    Fault(
        "default route refused",
        made.default_route_before,
        "inner-route",
        "the default route through mlvpn0 was not taken by the kernel: one by adsl1 via 198.18.1.1 with metric 0",
        mends=True,
        spec=TunnelSpec(client={"ip4_routes": "0.0.0.0/0"}),
    ),
    Fault(
        "IPv6 round the tunnel",
        made.started,
        "ipv6-leak",
        "IPv6 goes round it by adsl1",
        mends=True,
        spec=TunnelSpec(client={"ip4_routes": ALL4}),
    ),
    Fault(
        "DNS round the tunnel",
        typed("echo nameserver 198.18.1.1 >/etc/resolv.conf", start=True),
        "dns",
        "the name server 198.18.1.1 is asked by adsl1",
        spec=TunnelSpec(client={"ip4_routes": ALL4, "ip6_routes": ALL6}),
    ),
    Fault(
        "name inside the tunnel",
        made.name_inside,
        "dns-loop",
        f"link1 and link2: {NAME} can be looked up only through the tunnel",
        mends=True,
        spec=TunnelSpec(client={"ip4_routes": ALL4, "ip6_routes": ALL6}, client_links=NAMED),
    ),
    Fault(
        "another password",
        made.shut_out,
        "password",
        "the client has another password",
        end="server",
        spec=TunnelSpec(client={"password": "another"}),
    ),
    Fault(
        "another password, at the client",
        made.shut_out,
        "peer",
        "link1 and link2: the link is waiting; no packet comes back",
        spec=TunnelSpec(client={"password": "another"}),
    ),
    Fault(
        "one line for two links",
        made.nothing,
        "shared-uplink",
        "link1 and link2 leave by the same uplink, adsl1 via 198.18.1.1",
        spec=TunnelSpec(client_links={"link2": {"bindhost": "198.18.1.2"}}),
        beside=frozenset({"peer"}),  # the server does not run
    ),
    Fault("dead line", made.line_dead, "peer", "the router 198.18.2.1 on adsl2 does not answer", links=("link2",)),
    Fault("server off", made.nothing, "peer", "nothing listens at its ports 5080, 5081"),
    Fault("way refused", made.refused_on_the_way, "peer", f"the way to the peer {SERVER_IPV4} ends", links=("link1",)),
    Fault("loss", made.lossy, "peer", "the link loses", links=("link2",)),
    Fault(
        "bandwidth of the interface",
        made.nothing,
        "bandwidth",
        "This is the speed of the interface adsl1",
        links=("link1",),
        spec=TunnelSpec(client_links={"link1": {"bandwidth_upload": 1_250_000_000}}),
        beside=frozenset({"peer"}),  # the server does not run
    ),
    Fault(
        "bandwidth above the line's",
        made.crowded,
        "bandwidth",
        "its packets wait in the line",
        links=("link1",),
        looks=8,
    ),
    Fault("slow host", made.slow_host, "receive-buffer", "mlvpnd did not read them in time", end="server"),
    Fault(
        "reorder buffer",
        made.started,
        "reorder",
        "reorder_buffer_size = 8 is enough up to",
        spec=TunnelSpec(general={"reorder_buffer_size": 8}),
    ),
    Fault(
        "network of the LAN",
        typed("ip addr add 10.42.0.77/24 dev adsl2", start=True),
        "inner-address",
        "overlaps with 10.42.0.0/24 of adsl2",
    ),
    Fault(
        "interface in use",
        typed("ip link add mlvpn0 type veth peer name other", "ip link set mlvpn0 up", "ip link set other up"),
        "tunnel-interface",
        "in use by something other",
        beside=frozenset({"peer"}),  # the server does not run
    ),
)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab([Line(rate=20, delay=5), Line(rate=20, delay=30)]) as one:
        yield one


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: Fault, lab: Lab) -> None:
    scene = Scene(lab, fault.spec)
    try:
        fault.make(scene)
        wanted = {(fault.check, link) for link in fault.links}
        for _ in range(fault.looks):
            findings = scene.examine(fault.end)
            told = {(str(one["Check"]), str(one["Link"])) for one in findings}
            if wanted <= told:
                break
        assert wanted <= told, findings
        # One cause, one finding.
        others = {check for check, _ in told - wanted} - OF_THE_MACHINE - fault.beside
        # An end that does not run has a peer that does not answer.
        assert not others - ({"peer"} if not scene.tunnel.server.running else set()), findings
        ours = [one for one in findings if (one["Check"], one["Link"]) in wanted]
        assert len(ours) == len(wanted)
        assert all(fault.text in str(one["Text"]) for one in ours), ours
        if fault.mends:
            for command in commands_of(ours, fault.known):
                scene.files(fault.end).type(command)
            left = scene.examine(fault.end)
            assert not wanted & {(one["Check"], one["Link"]) for one in left}, left
    finally:
        scene.end()


def commands_of(findings: list[Finding], known: Mapping[str, str]) -> Iterator[str]:
    """The commands of findings, with what an operator knows."""
    for one in findings:
        commands = one["Commands"]
        assert isinstance(commands, list)
        assert commands, one
        for command in map(str, commands):
            for word, value in known.items():
                command = command.replace(word, value)
            yield command


def test_a_look_up_that_hangs_delays_nothing(lab: Lab) -> None:
    """Findings come at once, and the program ends within its limit, though the resolver waits for a minute."""
    scene = Scene(lab, TunnelSpec(client_links=NAMED))
    try:
        made.silent_name_server(scene)
        words = [word for word in COMMAND if word != "--json=short"]
        began = time.monotonic()
        process = lab.client.start(
            *scene.client.enter, *words, str(scene.tunnel.client.config_path), stdout=-1, stderr=-1
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        at_first = time.monotonic() - began
        rest = process.stdout.read().decode()
        process.wait()
        whole = time.monotonic() - began
    finally:
        scene.end()
    assert first == b"this host\n"
    assert at_first < 3
    assert "not finished within 3 s" in " ".join(rest.split())  # lines are wrapped
    assert whole - at_first < 6
    assert "packets to" not in rest  # nothing is known of the way


def test_doctor_on_a_healthy_client_gives_no_advice(lab: Lab) -> None:
    """Also not the server's: that nobody has called is nothing that a client waits for."""
    scene = Scene(lab, TunnelSpec())
    try:
        made.started(scene)
        assert ping(lab.client, SERVER_INNER_IPV6, count=1).received == 1
        for end in ("client", "server"):
            assert [one for one in scene.examine(end) if one["Check"] not in OF_THE_MACHINE] == []
    finally:
        scene.end()
