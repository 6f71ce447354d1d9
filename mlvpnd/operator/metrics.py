"""Writes a snapshot as metrics in Prometheus' text format: upstream's families first, then mlvpnd's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlvpnd import __version__

from .faces import rows, value_of
from .status import LinkOffload, LinkState, LinkStatus, TunnelStatus, newest_first

_Sample = tuple[str, float]
"""Written labels and the value."""


def to_metrics(status: TunnelStatus) -> str:
    """The `metrics` command's answer in Prometheus' text format 0.0.4.

    Upstream's families come first, without a prefix and in upstream's units. Its counters lack a counter's suffix, so
    they are `untyped`. mlvpnd's own names begin with `mlvpn_`, and their label for a link is `link`.
    """
    lines: list[str] = []
    for name, kind, explained, samples in (*_upstream_families(status), *_families(status)):
        lines.append(f"# HELP {name} {explained}")
        lines.append(f"# TYPE {name} {kind}")
        for labels, value in samples:
            lines.append(f"{name}{labels} {_number(value)}")
    return "\n".join(lines) + "\n"


_Family = tuple[str, str, str, list[_Sample]]


def _upstream_families(status: TunnelStatus) -> Iterator[_Family]:
    for field, face in rows(TunnelStatus):
        if face.upstream is not None and face.upstream.explained:
            value = face.upstream.write(getattr(status, field))
            yield face.upstream.name, face.upstream.kind, face.upstream.explained, [("", _as_number(value))]
    links = [(_labels(tunnel=link.name), link) for link in newest_first(status)]
    for state, name, explained in _STATES:
        yield name, "gauge", explained, [(labels, _upstream_state(link) is state) for labels, link in links]
    for field, face in rows(LinkStatus):
        if (shown := face.upstream) is not None and shown.explained:
            samples = [(labels, _as_number(shown.write(getattr(link, field)))) for labels, link in links]
            yield shown.name, shown.kind, shown.explained, samples


def _upstream_state(link: LinkStatus) -> LinkState:
    """Upstream knows no disabled link; to what reads its families it is down."""
    return LinkState.DISCONNECTED if link.status is LinkState.DISABLED else link.status


_STATES = (
    (LinkState.DISCONNECTED, "disconnected", "1: the link is down."),
    (LinkState.WAITING, "waitingpeer", "1: the link waits for the peer's answer."),
    (LinkState.CONNECTED, "connected", "1: the link is up and well."),
    (LinkState.LOSSY, "lossy", "1: the link is up and loses too much."),
    (LinkState.SLOW, "slow", "1: the link is up and too slow."),
)


def _families(status: TunnelStatus) -> Iterator[_Family]:
    info = _labels(
        version=__version__,
        tunnel=status.name,
        interface=status.interface,
        type=status.kind,
        mode=status.mode,
        state=status.state,
        data_plane=status.data_plane,
        tier=status.tier,
    )
    yield "mlvpn_info", "gauge", "Facts about the tunnel as labels; always 1.", [(info, 1)]
    for part in (status, status.tun_offload, status.reorder):
        yield from _of_rows("mlvpn_", type(part), [("", part)])
    yield (
        "mlvpn_tun_dropped_packets_total",
        "counter",
        "Packets lost at the interface, by reason.",
        [(_labels(reason=reason), count) for reason, count in status.tun_drops.items()],
    )
    yield (
        "mlvpn_dropped_packets_total",
        "counter",
        "Packets that went nowhere and belong to no link, by reason.",
        [(_labels(reason=reason), count) for reason, count in status.drops.items()],
    )
    link_info: list[_Sample] = [
        (_labels(link=link.name, mode=link.mode, local=link.local, peer=link.peer, device=link.device), 1)
        for link in newest_first(status)
    ]
    yield "mlvpn_link_info", "gauge", "A link's live addresses; always 1.", link_info
    links = [(_labels(link=link.name), link) for link in newest_first(status)]
    yield (
        "mlvpn_link_up",
        "gauge",
        "1: the link can carry traffic.",
        [(labels, link.status.up) for labels, link in links],
    )
    yield from _of_rows("mlvpn_link_", LinkStatus, links)
    yield from _of_rows("mlvpn_link_", LinkOffload, [(labels, link.offload) for labels, link in links])
    yield (
        "mlvpn_link_dropped_packets_total",
        "counter",
        "A link's datagrams and packets that went nowhere, by reason.",
        [
            (_labels(link=link.name, reason=reason), count)
            for link in newest_first(status)
            for reason, count in link.drops.items()
        ],
    )


def _of_rows(prefix: str, kind: type, parts: Sequence[tuple[str, object]]) -> Iterator[_Family]:
    """The families of all rows of a dataclass; `parts` are its objects, each with its labels."""
    for field, face in rows(kind):
        if face.metric is not None:
            values = [(labels, value_of(part, field, face)) for labels, part in parts]
            samples = [(labels, face.unit.metric(value)) for labels, value in values if value is not None]
            yield prefix + face.metric.name, face.metric.kind, face.metric.explained, samples


def _as_number(value: object) -> float:
    assert isinstance(value, int | float)  # noqa: S101  (what upstream shows as a metric is a number)
    return value


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items()) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
