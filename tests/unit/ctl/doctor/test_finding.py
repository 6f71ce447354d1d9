from __future__ import annotations

from mlvpnd.ctl.doctor.finding import listed, ok, problem, sysctl, warning


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
