from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlvpnd.config.model import Mode
from mlvpnd.operator.status import LinkState
from mlvpnd.protocol.links.path import PathStatus
from mlvpnd.protocol.links.selection import Tier
from mlvpnd.tunnel.states import LINK_STATES, link_state, tunnel_state


def path(status: PathStatus, *, enabled: bool = True) -> Any:
    return SimpleNamespace(status=status, up=status.up, parameters=SimpleNamespace(enabled=enabled))


UP, DOWN = path(PathStatus.AUTHOK), path(PathStatus.DISCONNECTED)
DISABLED = path(PathStatus.DISCONNECTED, enabled=False)


def test_each_status_has_a_state() -> None:
    assert set(LINK_STATES) == set(PathStatus)
    assert {link_state(path(status, enabled=False)) for status in PathStatus} == {LinkState.DISABLED}
    assert link_state(UP) is LinkState.CONNECTED


@pytest.mark.parametrize(
    ("paths", "mode", "tier", "state"),
    [
        ([UP, UP], Mode.CLIENT, Tier.NORMAL, "up"),
        ([UP, DISABLED], Mode.CLIENT, Tier.NORMAL, "up"),
        ([UP, DOWN], Mode.CLIENT, Tier.NORMAL, "degraded"),
        ([UP, DOWN], Mode.SERVER, Tier.NORMAL, "degraded"),
        ([UP, DOWN], Mode.CLIENT, Tier.FALLBACK, "fallback"),
        ([DOWN, DOWN], Mode.CLIENT, Tier.NONE, "connecting"),
        ([DOWN, DISABLED], Mode.CLIENT, Tier.NONE, "connecting"),
        ([DOWN, DOWN], Mode.SERVER, Tier.NONE, "down"),
        ([DISABLED, DISABLED], Mode.CLIENT, Tier.NONE, "down"),
        ([], Mode.CLIENT, Tier.NONE, "down"),
    ],
)
def test_the_tunnels_state(paths: list[Any], mode: Mode, tier: Tier, state: str) -> None:
    session: Any = SimpleNamespace(paths=paths, tier=tier)
    assert tunnel_state(session, mode) == state
