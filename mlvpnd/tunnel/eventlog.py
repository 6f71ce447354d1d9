"""Log lines about links and tiers, with fields for the journal; in upstream's words where upstream has any."""

from __future__ import annotations

import logging

from mlvpnd.base.allowance import Allowances
from mlvpnd.config.changes import LinkChange
from mlvpnd.config.schema import LINK_KEYS
from mlvpnd.logs.journal import fields, of_link
from mlvpnd.logs.log import logger
from mlvpnd.operator.status import CARRYING, format_address
from mlvpnd.protocol.links.events import DownReason, PathStatusChanged, TierChanged
from mlvpnd.protocol.links.path import Path, PathStatus
from mlvpnd.protocol.links.selection import Tier

FLAP_INTERVAL = 1.0
FLAP_BURST = 5
"""Of each kind of line about a link's peer: `FLAP_BURST` at once, then one each `FLAP_INTERVAL` seconds.
Somebody who forwards packets from two addresses by turns moves the peer with each one. This must not drown the rest of
the log. Status shows the peer's address."""
REASONS = {
    DownReason.TIMEOUT: "timeout",
    DownReason.UNHEARD: "unheard",
    DownReason.DISCONNECTED: "disconnect",
    DownReason.CLOSED: "config",
    DownReason.DISABLED: "disabled",
    DownReason.SOCKET_LOST: "error",
    DownReason.ADDRESS_GONE: "uplink",
    DownReason.CARRIER_LOST: "uplink",
    DownReason.INTERFACE_DOWN: "uplink",
    DownReason.INTERFACE_GONE: "uplink",
}
"""Why a link is down, in the words of the bus and the journal."""

_log = logger()
_config = logger("config")
_protocol = logger("protocol")
_rtt = logger("rtt")


class EventLog:
    """Writes the lines, and limits the kinds that may come often."""

    def __init__(self) -> None:
        self._allowed = Allowances(FLAP_BURST, FLAP_INTERVAL)

    def up(self, path: Path) -> None:
        """The link is up."""
        name = path.parameters.name
        extra = fields("link-up", name, state="up", peer=format_address(path.peer))
        _protocol.info("%s authenticated", name, extra=extra)

    def down(self, path: Path, reason: DownReason) -> None:
        """The link is down. A link closed on purpose already has a line of its own."""
        name = path.parameters.name
        on_purpose = reason in (DownReason.CLOSED, DownReason.DISABLED)
        extra = fields("link-down", name, state="down", reason=REASONS[reason])
        _protocol.log(logging.DEBUG if on_purpose else logging.INFO, "%s %s", name, reason.value, extra=extra)
        if not on_purpose and path.damping.begins:
            text = "%s comes and goes: from now on it stays down for a second each time"
            _protocol.warning(text, name, extra=of_link(name))

    def unheard(self, path: Path, now: float) -> None:
        """The peer asks again and again because it does not hear the answers."""
        text = "the peer asks and does not hear the answers: the line is dead towards"
        self._seldom(path, text, format_address(path.peer), now, logging.WARNING)

    def moved(self, path: Path, now: float) -> None:
        """The peer has another address."""
        self._seldom(path, "new connection ->", format_address(path.peer), now)

    def restarted(self, path: Path, now: float) -> None:
        """The peer has begun a new session."""
        self._seldom(path, "the peer has restarted", "", now)

    def _seldom(self, path: Path, text: str, value: str, now: float, level: int = logging.INFO) -> None:
        name = path.parameters.name
        if self._allowed.take(f"{name} {text}", now):
            _protocol.log(level, "%s", f"{name} {text} {value}".rstrip(), extra=of_link(name))

    def quality(self, path: Path, event: PathStatusChanged) -> None:
        """An up link became lossy or slow, or well again."""
        name, limits = path.parameters.name, path.parameters
        if PathStatus.LOSSY in (event.before, event.after):
            now_lossy = event.after is PathStatus.LOSSY
            extra = fields("link-lossy", name, loss=path.loss_percent) if now_lossy else of_link(name)
            text = f"%s packet loss {_word(bad=now_lossy)}: %d%%/%d%%"
            _rtt.info(text, name, path.loss_percent, limits.loss_tolerance, extra=extra)
        if PathStatus.HIGH_LATENCY in (event.before, event.after):
            now_slow = event.after is PathStatus.HIGH_LATENCY
            extra = fields("link-slow", name, srtt_usec=int(path.rtt.srtt_ms * 1000)) if now_slow else of_link(name)
            text = f"%s latency {_word(bad=now_slow)}: %fms/%dms"
            _rtt.info(text, name, path.rtt.srtt_ms, limits.latency_tolerance, extra=extra)

    def tunnel(self, before: str, after: str) -> None:
        """Packets can pass from now on, or no longer; both states are words of `status.TunnelStatus.state`."""
        if before not in CARRYING and after in CARRYING:
            _log.info("tunnel is up", extra=fields("tunnel-up", old_state=before, state=after))
        elif before in CARRYING and after not in CARRYING and after != "stopping":
            _log.info("tunnel is down", extra=fields("tunnel-down", old_state=before, state=after))

    def tier(self, event: TierChanged) -> None:
        """Traffic moved to links of another kind."""
        if event.after is Tier.FALLBACK:
            text = "all tunnels are down, lossy or too slow, switch fallback mode"
            _log.info(text, extra=fields("fallback-on"))
        elif event.after is Tier.LAST_RESORT:
            _log.info("all tunnels are down, lossy or too slow but fallback is not available")
        elif event.after is Tier.NORMAL and event.before is not Tier.NONE:
            extra = fields("fallback-off") if event.before is Tier.FALLBACK else None
            _log.info("normal links carry the traffic again", extra=extra)


def log_update(change: LinkChange) -> None:
    """Logs what a reload has changed about a link."""
    for key in LINK_KEYS:
        before, after = getattr(change.old, key.field), getattr(change.new, key.field)
        if key.name in change.keys:
            numbers = (int(value) if isinstance(value, bool) else value for value in (before, after))
            text = key.changed.format(name=key.name)
            _config.info(text, change.new.name, *numbers, extra=of_link(change.new.name))


def log_switched(link: str, *, enabled: bool) -> None:
    """Logs that an operator has taken a link out of use, or back in."""
    if enabled:
        _protocol.info("%s enabled", link, extra=fields("link-enabled", link))
    else:
        text = "%s disabled: it carries nothing either way until it is enabled"
        _protocol.info(text, link, extra=fields("link-disabled", link, state="disabled"))


def _word(*, bad: bool) -> str:
    return "reached threashold" if bad else "acceptable again"  # upstream's spelling: operators grep for it
