"""A session carried over a restart of the process: what is remembered, as plain values, and how it is taken up again.

The replay windows protect. Flows, addresses and states make the restart go unnoticed: the peer sees the same flow go on
with higher numbers. Sequence numbers start from the clock again, above all that were used.
"""

from __future__ import annotations

import hashlib
from typing import Any

from mlvpnd.protocol.wire.replay import PeerFlow

from .path import Path, PathInput
from .session import Session

VERSION = 1
"""Version of the remembered values; values of another version are not taken up."""
SEQ_MARGIN = 1 << 24
"""Numbers added to a remembered one where the clock has gone back: more than a second's packets."""
MAX_REMEMBERED_IDS = 4096
"""Own flow ids that are remembered, at most: the newest ones."""


def remember(session: Session, now: float) -> dict[str, Any]:
    """All that `recall` needs, as values that JSON can hold."""
    # Another flow's clear DATA is not taken before a new AUTH.
    living = {flow for path in session.paths for flow in (path.flow, path.displaced) if flow is not None}
    return {
        "version": VERSION,
        "key": _key_tag(session),
        "server": session.gate.is_server,
        "data_seq": session.next_data_seq,
        "own_flow_ids": list(session.gate.flows.own)[-MAX_REMEMBERED_IDS:],
        "flows": [
            {
                "id": flow.flow_id,
                "link": flow.link,
                "newest": flow.window.newest,
                "seen": f"{flow.window.seen:x}",
                "ousted": flow.ousted,
                "insistent": flow.insistent,
                "clear": _clear(flow) if flow in living else None,
            }
            for flow in session.gate.flows
        ],
        "paths": [_path(path, now) for path in session.paths],
    }


def _path(path: Path, now: float) -> dict[str, Any]:
    return {
        "name": path.parameters.name,
        "up": path.up,
        "flow_id": path.flow_id,
        "seq": path.next_seq,
        "flow": path.flow.flow_id if path.flow is not None else None,
        "peer": list(path.peer) if path.peer is not None else None,
        "silent": now - path.heard_at if path.up else 0.0,
        "greeted": path.greeted,
    }


def _clear(flow: PeerFlow) -> list[Any] | None:
    """Which clear DATA the flow has brought: where the range begins, and its octets in hexadecimal, 33 KB at most."""
    return None if flow.clear is None else [flow.clear.base, flow.clear.seen.rstrip(b"\0").hex()]


def _key_tag(session: Session) -> str:
    return hashlib.blake2b(session.gate.box.key, digest_size=16, person=b"mlvpnd resume").hexdigest()


def recall(session: Session, memory: dict[str, Any], now: float) -> bool:
    """Takes up what another session remembered, in a fresh session whose links have been added.

    Links that were up are up again, silently. The time in which nobody listened is not the peer's silence: its packets
    may still wait in the socket. Returns False, and changes nothing, for a memory of another version, password or role.
    Raises KeyError, TypeError or ValueError for a memory that `remember` did not make; do not use the session then.
    """
    same = (memory["version"], memory["key"], memory["server"])
    if same != (VERSION, _key_tag(session), session.gate.is_server):
        return False
    for flow_id in memory["own_flow_ids"]:
        session.gate.flows.add_own(flow_id)
    for known in memory["flows"]:
        flow = session.gate.flows.restore(known["id"], known["link"], known["newest"])
        flow.restore(known["newest"], int(known["seen"], 16))
        flow.ousted, flow.insistent = known["ousted"], known["insistent"]
        if (clear := known.get("clear")) is not None:  # an older version remembered none
            base, octets = clear
            flow.restore_clear(base, bytes.fromhex(octets))
    session.next_data_seq = max(session.next_data_seq, memory["data_seq"] + SEQ_MARGIN)
    remembered = {path["name"]: path for path in memory["paths"]}
    for path in session.paths:
        before = remembered.get(path.parameters.name)
        if before is not None:
            _take_up(session, path, before, now)
    session.resumed(now)
    return True


def _take_up(session: Session, path: Path, before: dict[str, Any], now: float) -> None:
    session.gate.flows.add_own(path.flow_id)
    path.flow_id = before["flow_id"]
    path.next_seq = max(path.next_seq, before["seq"] + SEQ_MARGIN)
    path.greeted = before["greeted"]
    flow = session.gate.flows.get(before["flow"]) if before["flow"] is not None else None
    if flow is None:
        return
    path.begin_flow(flow, flow.window.newest)
    if before["peer"] is not None and before["up"] and path.parameters.enabled:
        path.peer = tuple(before["peer"])
        path.step(PathInput.AUTHENTICATE)
        path.heard_at = now - before["silent"]
        path.up_at = path.believed_at = path.next_keepalive_at = now
        path.proven_flow = flow
