from __future__ import annotations

import json

from mlvpnd.ctl.output import width
from mlvpnd.ctl.top import HELP, WAITING, Line, Reading, Top

from .views import link_view, tunnel_view


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for _, text in line).rstrip() for line in lines]


def read(top: Top, second: int, *names: str, links: int = 2) -> None:
    views = [
        tunnel_view(
            *(
                link_view(f"link{number}", TxBytes=second * 125_000 * number, RxBytes=second * 12_500_000)
                for number in range(1, links + 1)
            ),
            name=name,
        )
        for name in names
    ]
    top.update(Reading(views, {}, float(second), 1060.0 + second))


def test_the_screen() -> None:
    top = Top()
    for second in range(20):
        read(top, second, "mlvpn0")
    lines = texts(top.screen(80, 24))
    assert lines[:6] == [
        "mlvpn  mlvpn0",
        "up  client  mlvpn0  running for 1min 19s",
        "sends 3.0 Mbit/s, receives 200 Mbit/s",
        "LINK         STATE    SHARE     RTT  LOSS  TX bit/s           RX bit/s",
        "link1        up        50 %   23 ms   0 %      1.0M ▄▄▄▄▄▄▄▄      100M ████████",
        "link2        up        50 %   23 ms   0 %      2.0M ████████      100M ████████",
    ]
    assert len(lines) == 24
    assert lines[-1] == HELP


def test_it_fits_every_window() -> None:
    top = Top()
    for second in range(3):
        read(top, second, "a-tunnel-with-a-long-name", "b", links=30)
    for columns in (1, 5, 20, 40, 61, 79, 80, 200):
        for rows in (1, 2, 5, 10, 24, 60):
            lines = top.screen(columns, rows)
            assert len(lines) == rows
            assert max(width(text) for text in texts(lines)) <= columns


def test_more_links_than_room() -> None:
    top = Top()
    read(top, 0, "t", links=30)
    lines = texts(top.screen(80, 12))
    assert [line.split()[0] for line in lines if line.startswith("link")] == [f"link{n}" for n in range(1, 7)]
    assert "24 more" in lines
    top.scroll(10)
    assert texts(top.screen(80, 12))[4].startswith("link11 ")
    top.scroll(-100)
    assert any(line.startswith("link1 ") for line in texts(top.screen(80, 12)))


def test_turning_to_other_tunnels() -> None:
    top = Top()
    top.turn(1)
    read(top, 0, "a", "b", "c")

    def shown() -> str:
        (title,) = [text for style, text in top.screen(80, 24)[0] if style == "title"]
        return title

    found = [shown()]
    for step in (1, 1, 1, -1):
        top.turn(step)
        found.append(shown())
    assert found == ["a", "b", "c", "a", "c"]


def test_a_tunnel_that_stops_and_comes_back() -> None:
    top = Top()
    assert texts(top.screen(80, 5))[1] == WAITING
    for second in range(3):
        read(top, second, "mlvpn0")
    read(top, 3)
    assert texts(top.screen(80, 5))[1] == "not running"
    top.update(Reading([], {"": "the system bus cannot be reached"}, 4.0, 0.0))
    assert texts(top.screen(80, 5))[1] == "the system bus cannot be reached"
    # The link counts from 0 again; the difference is no rate.
    read(top, 0, "mlvpn0")
    top.update(Reading([tunnel_view(link_view("link1", TxBytes=125_000, RxBytes=0))], {}, 6.0, 0.0))
    assert "link1        up        50 %   23 ms   0 %" in texts(top.screen(80, 24))[4]


def test_named_tunnels() -> None:
    top = Top(["here", "gone"])
    top.update(Reading([tunnel_view(link_view("a"), name="here")], {"gone": "not running; start it"}, 0.0, 0.0))
    top.turn(1)
    assert texts(top.screen(80, 5))[1] == "not running; start it"
    report = texts(top.report(80))
    assert report[0] == "here"
    assert report[-3:] == ["gone", "not running; start it", ""]
    found = top.to_json()
    assert found["Failures"] == [{"Name": "gone", "Error": "not running; start it"}]


def test_rates_for_programs() -> None:
    top = Top()
    for second in range(2):
        read(top, second, "t", links=1)
    (tunnel,) = json.loads(json.dumps(top.to_json()))["Tunnels"]
    assert (tunnel["Links"][0]["TxRate"], tunnel["Links"][0]["RxRate"]) == (125_000, 12_500_000)
    assert tunnel["Name"] == "t"


def test_names_that_are_odd() -> None:
    top = Top()
    top.update(Reading([tunnel_view(link_view("\x1b[2J日本日本日本日本"), name="t")], {}, 0.0, 0.0))
    (line,) = [line for line in texts(top.screen(80, 24)) if "日" in line]
    assert line.startswith("\\x1b[2J日本… up")
