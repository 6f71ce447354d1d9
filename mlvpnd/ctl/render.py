"""Renders views for people: the lines of `list`, `links`, `status` and `show`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlvpnd.base.printable import printable

from .model import LinkView, TunnelView, View, format_endpoint
from .output import Cell, Output, duration, milliseconds, moment, rate, size, state_cell

LIST_HEADS = ("TUNNEL", "STATE", "MODE", "INTERFACE", "SINCE", "LINKS")
LINK_HEADS = ("LINK", "STATE", "WEIGHT", "RTT", "LOSS", "TX", "RX", "REMOTE", "SINCE", "HEARD", "OUTAGES")
_LABEL_WIDTH = 11


class Now(NamedTuple):
    """The present."""

    unix: float
    """Seconds since 1970."""
    monotonic: float
    """Seconds of the host's monotonic clock, which the daemon has too."""


def list_lines(tunnels: Sequence[TunnelView], output: Output, now: Now) -> list[str]:
    """One line for each tunnel."""
    rows: list[list[Cell]] = [
        [
            printable(tunnel.name),
            state_cell(tunnel.text("State")),
            printable(tunnel.text("Mode")) or "-",
            printable(tunnel.text("Interface")) or "-",
            _since(tunnel, now),
            printable(tunnel.text("StatusText")) or "-",
        ]
        for tunnel in tunnels
    ]
    return output.table(LIST_HEADS, rows)


def link_lines(tunnels: Sequence[TunnelView], output: Output, now: Now, *, named: bool) -> list[str]:
    """One line for each link; `named`: behind the tunnel's name."""
    heads = ("TUNNEL", *LINK_HEADS) if named else LINK_HEADS
    rows = []
    for tunnel in tunnels:
        for link in tunnel.links:
            cells = link_cells(link, now)
            rows.append([printable(tunnel.name), *cells] if named else cells)
    return output.table(heads, rows)


def link_cells(link: LinkView, now: Now) -> list[Cell]:
    """The cells of one link in `links`."""
    heard = link.number("LastPacketTimestampMonotonic") / 1e6
    weight, rtt = link.number("Weight"), link.number("SmoothedRttUSec")
    return [
        printable(link.name),
        state_cell(link.state),
        f"{weight:.1f} %" if weight else "-",
        milliseconds(rtt) if rtt else "-",
        f"{link.number('LossPercent'):.0f} %" if link.up else "-",
        size(link.number("TxBytes")),
        size(link.number("RxBytes")),
        printable(link.address("RemoteAddress")) or "-",
        _since(link, now),
        f"{duration(now.monotonic - heard)} ago" if heard else "-",
        f"{link.number('Disconnects'):.0f}",
    ]


def _since(view: View, now: Now) -> str:
    """For how long the state has lasted."""
    since = view.number("StateChangeTimestamp") / 1e6
    return duration(now.unix - since) if since else "-"


def status_lines(tunnel: TunnelView, output: Output, now: Now) -> list[str]:
    """All lines about a tunnel."""
    state, style = tunnel.text("State"), state_cell(tunnel.text("State"))
    dot = output.styled((style[0], output.dot) if isinstance(style, tuple) else output.dot)
    lines = [f"{dot} {output.styled(('strong', printable(tunnel.name)))}"]
    kind, mtu = tunnel.text("InterfaceType"), tunnel.number("MTU")
    device = " ".join(filter(None, [tunnel.text("Interface"), f"({kind})" if kind else ""]))
    traffic = _traffic(tunnel)
    reorder = tunnel.number("ReorderBufferSize")
    runs = "StartTimestamp" in tunnel.properties
    reloaded = tunnel.number("LastReloadTimestamp")
    since = moment(tunnel.number("StateChangeTimestamp"), now.unix)
    fields: list[tuple[str, Cell]] = [
        ("State", output.styled(state_cell(state)) + (f" since {since}" if since != "-" else "")),
        ("Reason", ("odd", printable(tunnel.text("Reason")))),
        ("Mode", printable(tunnel.text("Mode"))),
        ("Interface", printable(device) + (f", MTU {mtu:.0f}" if mtu else "")),
        ("Addresses", printable(", ".join(tunnel.texts("Addresses")))),
        ("Routes", printable(", ".join(tunnel.texts("Routes")))),
        ("Config", printable(tunnel.text("ConfigFile"))),
        ("Version", printable(tunnel.text("Version"))),
        ("Data plane", printable(tunnel.text("DataPlane"))),
        ("Since", moment(tunnel.number("StartTimestamp"), now.unix) if runs else ""),
        ("Reloaded", moment(reloaded, now.unix) if reloaded > tunnel.number("StartTimestamp") else ""),
        ("Traffic", traffic),
        ("Reorder", (f"up to {reorder:.0f} packets" if reorder else "off") if runs else ""),
        ("Cleartext", ("odd", "yes, data is not encrypted") if tunnel.flag("CleartextData") else ""),
    ]
    for label, cell in fields:
        text = output.styled(cell)
        if text:
            lines.append(f"{label:>{_LABEL_WIDTH}}: {text}")
    if runs:
        lines.append("")
        lines += link_lines([tunnel], output, now, named=False) if tunnel.links else ["no links"]
    for link in tunnel.links:
        trouble = link_trouble(link)
        if trouble:
            lines.append(output.styled(("odd", f"{printable(link.name)}: {printable(trouble)}")))
    if log := tunnel.texts("Log"):
        lines += ["", *map(printable, log)]
    return lines


def link_trouble(link: LinkView) -> str:
    """Why a link does not carry, in the daemon's words; empty: it does, or nothing is known."""
    if link.up or link.state == "disabled":
        return ""
    return "; ".join(dict.fromkeys(filter(None, [link.text("Reason"), link.text("LastError")])))


def _traffic(view: View) -> str:
    """The traffic, in bytes and packets as far as they are known."""
    parts = []
    for key, word in (("Tx", "sent"), ("Rx", "received")):
        packets = f"{view.number(key + 'Packets'):.0f} packets"
        if key + "Bytes" in view.properties:
            parts.append(f"{size(view.number(key + 'Bytes'))} {word} ({packets})")
        elif key + "Packets" in view.properties:
            parts.append(f"{packets} {word}")
    return ", ".join(parts)


def value_text(value: object) -> str:
    """A property's value as `show` writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int):
            return format_endpoint(value)
        return " ".join(map(value_text, value))
    if isinstance(value, float):
        return f"{value:g}"
    return printable(str(value))


def bandwidth_text(bytes_per_second: int) -> str:
    """A link's bandwidth in both units: the file's, and bits per second as in the line's contract."""
    return f"{bytes_per_second} bytes/s ({rate(bytes_per_second)})"
