"""When a session's links are due: it is never told too late, and seldom looked for."""

from __future__ import annotations

from mlvpnd.protocol.links.deadlines import Deadlines
from mlvpnd.protocol.links.path import Path, PathInput, PathParameters

NEVER = float("inf")


def up(number: int, keepalive_at: float) -> Path:
    path = Path(number, PathParameters(f"link{number}", 5.0), number, 0)
    path.step(PathInput.AUTHENTICATE)
    path.heard_at, path.next_keepalive_at = 0.0, keepalive_at
    return path


def test_the_earliest_is_looked_for_once_until_it_has_come() -> None:
    paths, looked = {number: up(number, 1.0 + number) for number in range(3)}, 0

    def probe_at(path: Path) -> float:
        nonlocal looked
        looked += 1
        return NEVER

    deadlines = Deadlines(paths, probe_at, lambda path: False)
    for now in (0.0, 0.3, 0.9):
        assert deadlines.due() == 1.0
        assert not deadlines.come(now)
    assert looked == 3
    assert deadlines.come(1.0)
    paths[0].next_keepalive_at += 1.0
    assert deadlines.due() == 2.0
    paths[2].next_keepalive_at = 1.5
    deadlines.may_change()
    assert deadlines.due() == 1.5


def test_no_link_waits_for_anything() -> None:
    none = Deadlines({}, lambda path: NEVER, lambda path: True)
    assert none.due() is None
    assert not none.come(1.0)
    down = Path(0, PathParameters("link0", 5.0), 0, 0)
    assert Deadlines({0: down}, lambda path: NEVER, lambda path: False).due() is None
