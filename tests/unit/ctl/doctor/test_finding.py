from __future__ import annotations

from mlvpnd.ctl.doctor.finding import ok, problem, warning


def test_findings_for_programs() -> None:
    assert problem("route", "wrong", "ip route", "ip rule", link="a").to_json() == {
        "Severity": "problem",
        "Check": "route",
        "Link": "a",
        "Text": "wrong",
        "Commands": ["ip route", "ip rule"],
    }
    assert [one.to_json()["Severity"] for one in (ok("a", "b"), warning("a", "b"))] == ["ok", "warning"]
