"""The configuration in the protocol's terms, and in words for the log."""

from __future__ import annotations

from dataclasses import fields

from mlvpnd.config.model import MIN_PACED_RATE, Config, DeviceKind, LinkConfig, Mode, Pacing, Peer
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.session import SessionParameters
from mlvpnd.protocol.wire.box import derive_key

_OTHER_NAMES = {"bandwidth": "bandwidth_upload"}
_FIELDS = {one.name: _OTHER_NAMES.get(one.name, one.name) for one in fields(PathParameters) if one.name != "enabled"}
"""Each field of `PathParameters` with its field of `LinkConfig`. `enabled` is set on the bus, not in the file."""


def pacing_line(config: Config) -> str:
    """For the log: what `bandwidth_upload` means, and why."""
    if config.paced:
        return "links are paced at bandwidth_upload"
    if config.pacing is Pacing.OFF or config.unpaced_link is None:
        return "bandwidth_upload is a weight: pacing is off"
    name = config.unpaced_link.name
    return f"bandwidth_upload is a weight: link {name} has less than {MIN_PACED_RATE} bytes/s"


def session_parameters(config: Config) -> SessionParameters:
    """The session's part of the configuration in the protocol's terms."""
    return SessionParameters(
        key=derive_key(config.password),
        is_server=config.mode is Mode.SERVER,
        layer2=config.tuntap is DeviceKind.TAP,
        cleartext_data=config.cleartext_data,
        reorder_size=config.reorder_buffer_size,
        pacing=config.pacing is Pacing.AUTO,
        peer_takes_first=config.peer is Peer.MLVPND,
    )


def path_parameters(link: LinkConfig) -> PathParameters:
    """A link's configuration in the protocol's terms."""
    return PathParameters(**{ours: getattr(link, theirs) for ours, theirs in _FIELDS.items()})
