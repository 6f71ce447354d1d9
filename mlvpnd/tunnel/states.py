"""The states of links and of the tunnel in an operator's words."""

from __future__ import annotations

from mlvpnd.config.model import Mode
from mlvpnd.operator.status import LinkState
from mlvpnd.protocol.links.path import Path, PathStatus
from mlvpnd.protocol.links.selection import Tier
from mlvpnd.protocol.links.session import Session

STARTING = "starting"
"""Why a link is down that has not been up yet, while nothing more is known."""


LINK_STATES = {
    PathStatus.DISCONNECTED: LinkState.DISCONNECTED,
    PathStatus.AUTHSENT: LinkState.WAITING,
    PathStatus.AUTHOK: LinkState.CONNECTED,
    PathStatus.LOSSY: LinkState.LOSSY,
    PathStatus.HIGH_LATENCY: LinkState.SLOW,
}
"""The protocol's states in the words of status."""


def link_state(path: Path) -> LinkState:
    """A link's state for an operator."""
    return LINK_STATES[path.status] if path.parameters.enabled else LinkState.DISABLED


def tunnel_state(session: Session, mode: Mode) -> str:
    """The state of a tunnel that is not about to stop: a word of `status.TunnelStatus.state`."""
    wanted = [path for path in session.paths if path.parameters.enabled]
    if not any(path.up for path in session.paths):
        return "connecting" if wanted and mode is Mode.CLIENT else "down"
    if session.tier is Tier.FALLBACK:
        return "fallback"
    return "up" if all(path.up for path in wanted) else "degraded"
