from __future__ import annotations

from mlvpnd.ctl.doctor.finding import by_hand, listed, ok, problem, sysctl, warning


def test_findings_for_programs() -> None:
    assert problem("route", "wrong", "ip route", "ip rule", link="a").to_json() == {
        "Severity": "problem",
        "Check": "route",
        "Link": "a",
        "Text": "wrong",
        "Commands": ["ip route", "ip rule"],
        "Note": "",
    }
    assert problem("a", "b").noted("so long").to_json()["Note"] == "so long"
    assert [one.to_json()["Severity"] for one in (ok("a", "b"), warning("a", "b"))] == ["ok", "warning"]


def test_words_and_commands() -> None:
    assert [listed([*"abc"][:count]) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert sysctl("net.x", 2) == ("sysctl -w net.x=2", "echo net.x=2 >>/etc/sysctl.d/90-mlvpn.conf")


def test_a_tunnel_by_hand_gets_no_commands_of_services() -> None:
    found = by_hand(problem("a", "b", "ip link", "mlvpnctl link t a reconnect"))
    assert (found.commands, found.note) == (
        ("ip link",),
        "The tunnel was started by hand. Start it again: this does the same.",
    )
    assert by_hand(problem("a", "b", "mlvpnctl log t").noted("c")) == problem("a", "b").noted("c")
    assert by_hand(problem("a", "b", "ip link")) == problem("a", "b", "ip link")
