"""Writes `mlvpnd/native/generated.h`: the constants that the native twin must share with the reference.

    python tools/make_native_constants.py           # writes it
    python tools/make_native_constants.py --check   # exit status 1 if the file is not what would be written

A constant stands in Python, with its reason. C gets its value and the first sentence of its docstring.
"""

from __future__ import annotations

import argparse
import ast
import enum
import importlib
import itertools
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PROJECT = Path(__file__).resolve().parents[1]
HEADER = PROJECT / "mlvpnd" / "native" / "generated.h"
_WIDTH = 118
_INT = 1 << 31


@dataclass(frozen=True)
class Constants:
    """Constants of one module, which are numbers."""

    module: str
    """Name of the module below `mlvpnd`."""
    prefix: str
    """Prefix of their names in C."""
    names: str
    """Names of the constants, separated by spaces. C leaves out a leading underscore."""


@dataclass(frozen=True)
class Members:
    """The members of an enumeration in their order. They keep values that are numbers; otherwise they count from 0."""

    module: str
    name: str
    tag: str
    """The enum's tag in C."""
    prefix: str
    count: str = ""
    """Name of a last member, whose value is the number of members; empty: there is none."""


ROWS: tuple[Constants | Members, ...] = (
    Constants("protocol.wire.constants", "WIRE", "HEADER_SIZE MAC_SIZE VERSION NO_TIMESTAMP MAX_DATAGRAM_SIZE"),
    Constants("protocol.wire.box", "WIRE", "KEY_SIZE"),
    Members("protocol.wire.wire", "PacketType", "wire_type", "WIRE", "WIRE_TYPES"),
    Members("protocol.wire.drops", "DropReason", "drop", "DROP", "DROP_REASONS"),
    Members("protocol.wire.inner", "Kind", "inner_kind", "INNER", "INNER_KINDS"),
    Constants("protocol.wire.inner", "INNER", "SMALL_SIZE _LONGEST_TCP_HEADERS _ACK_ONLY _PUSH _FLAGS"),
    Constants(
        "protocol.wire.constants",
        "PROTOCOL",
        "REPLAY_WINDOW_SIZE CLEAR_WINDOW_SIZE SILENCE AUTH_INTERVAL DISCONNECT_INTERVAL ANSWER_INTERVAL QUICK_GAP"
        " RECLAIM_GRACE WAIT_INTERVAL ECHO_LIMIT_MS RTT_LIMIT_MS",
    ),
    Members("protocol.links.path", "PathStatus", "path_status", "PATH"),
    Constants("protocol.links.path", "PATH", "GAP_GAIN"),
    Constants("protocol.links.answers", "ANSWERS", "QUICK_PAUSE"),
    Constants("protocol.receiving.copies", "COPIES", "JUMP"),
    Constants("protocol.receiving.loss", "LOSS", "BUCKET WINDOW LEAST JUMP"),
    Constants("protocol.receiving.receiver", "RECEIVER", "DATA_RECENT UNKNOWN_SPREAD MAX_WAIT MIN_WAIT GROWTH"),
    Constants("protocol.receiving.reorder", "REORDER", "JUMP STRAYS _DELIVERED _GIVEN_UP"),
    Constants("protocol.receiving.rtt", "RTT", "ALPHA BETA JUMP_MS INITIAL_SRTT_MS"),
    Constants(
        "protocol.receiving.transit",
        "TRANSIT",
        "LOW_SPAN HIGH_SPAN DISORDER_SPAN STEP JUMP NEW_CLOCK MAX_GAPS _PERIOD _HALF",
    ),
    Constants("protocol.sending.sender", "ENGINE", "OUTER_IPV4 OUTER_IPV6 ROUNDING"),
    Constants("protocol.sending.flow_queue", "FLOW_QUEUE", "QUANTUM BUCKETS"),
    Constants(
        "protocol.sending.fragments",
        "FRAGMENTS",
        "REMEMBERED LIFETIME LONGEST_NAME _FRAGMENT _MOST_HEADERS _MORE_FRAGMENTS_OR_OFFSET _OFFSET",
    ),
    Constants("protocol.sending.line", "LINE", "SECOND CREDIT EXPRESS_LIMIT OWN_TIME LEAST_LIMIT"),
    Constants(
        "protocol.sending.paced",
        "PACED",
        "SLACK QUEUE_TIME OVERFLOW WAIT_SHARE ALIKE LONGEST_WAIT WORTH SPARSE HOLD_SHARE LONGEST_HOLD STICKY"
        " FAIR_BURST RESCUED_TIME LONGEST_DELAY MOST_AHEAD",
    ),
    Constants(
        "protocol.sending.retransmissions",
        "RETRANSMISSIONS",
        "REMEMBERED WINDOW CONVICTING FORGET HARMFUL HARMLESS WORSE ALIKE USE_TIME FULL IDLE ENDURANCE LEAST_TIME"
        " BORNE",
    ),
    Constants("protocol.sending.scheduler", "WEIGHTED", "LARGE_BURST BURST_LINKS BURST_SHARE _SCALE"),
    Constants(
        "protocol.sending.stretch",
        "STRETCH",
        "AFTER AGAIN SETTLE CHECK REFRAIN PAUSE MILLISECOND FULL GREEDY GROWTH CONTENT",
    ),
    Constants(
        "offload.vnet",
        "",
        "VNET_SIZE NEEDS_CSUM GSO_NONE GSO_TCPV4 GSO_TCPV6 GSO_UDP GSO_ECN TCP UDP IPV4_HEADER IPV6_HEADER TCP_HEADER"
        " UDP_HEADER ETHERNET_HEADER VLAN_TAG TCP_CHECKSUM UDP_CHECKSUM TCP_FLAGS FIN SYN PSH ACK CWR",
    ),
    Constants("offload.coalesce", "COALESCE", "IP_LIMIT"),
    Constants("offload.mss", "MSS", "_END _NO_OPERATION _MAXIMUM_SEGMENT_SIZE _OPTION_SIZE"),
    Constants("net.link_socket", "UDP", "QUEUE_LIMIT GSO_PAUSE"),
    Constants("net.ancillary", "UDP", "ROOM"),
)
"""The whole contents of the header, from the wire inwards."""


def text() -> str:
    """The whole header."""
    lines = [
        "/* Written by tools/make_native_constants.py: change the Python module that a part names, then run that. */",
        "#ifndef MLVPND_GENERATED_H",
        "#define MLVPND_GENERATED_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
    ]
    for row in ROWS:
        module = importlib.import_module(f"mlvpnd.{row.module}")
        lines += [f"/* mlvpnd/{row.module.replace('.', '/')}.py */"]
        lines += _members(row, module) if isinstance(row, Members) else _constants(row, module)
        lines.append("")
    lines += ["/* mlvpnd/protocol/wire/wire.py */", *_controls(), ""]
    return "\n".join([*lines, "#endif", ""])


def _constants(row: Constants, module: ModuleType) -> Iterator[str]:
    told = docstrings(Path(str(module.__file__)))
    for name in row.names.split():
        value = getattr(module, name)
        plain = "_".join(part for part in (row.prefix, name.lstrip("_")) if part)
        yield from _comment(told.get(name, ""), "")
        yield _constant(plain, value)


def _constant(name: str, value: object) -> str:
    if isinstance(value, float):
        return f"static const double {name} = {value!r};"
    if not isinstance(value, int):
        raise TypeError(f"{name} is no number")
    if -_INT <= value < _INT:
        return f"enum {{ {name} = {value} }};"
    return f"static const int64_t {name} = INT64_C({value});"


def _members(row: Members, module: ModuleType) -> Iterator[str]:
    members = list(getattr(module, row.name))
    told = docstrings(Path(str(module.__file__)), row.name)
    yield f"enum {row.tag} {{"
    for number, member in enumerate(members):
        value = int(member) if isinstance(member, enum.IntEnum) else number
        yield from _comment(told.get(member.name, ""), "    ")
        yield f"    {row.prefix}_{member.name} = {value},"
    if row.count:
        yield f"    {row.count},"
    yield "};"


def _controls() -> Iterator[str]:
    wire = importlib.import_module("mlvpnd.protocol.wire.wire")
    yield from _members(Members("protocol.wire.wire", "Introduces", "wire_introduces", "WIRE_BY"), wire)
    yield "/* What stands in a control packet's box, NULL: any of that size; and who may bring a new flow by it. */"
    yield "static const struct wire_control {"
    yield "    uint8_t size;"
    yield "    const char *only;"
    yield "    enum wire_introduces introduces;"
    yield "} WIRE_CONTROL[WIRE_TYPES] = {"
    for kind, control in wire.CONTROL.items():
        only = "NULL" if control.only is None else f'"{control.only.decode("ascii")}"'
        yield f"    [WIRE_{kind.name}] = {{{control.size}, {only}, WIRE_BY_{control.introduces.name}}},"
    yield "};"


def _comment(sentence: str, indent: str) -> Iterator[str]:
    if sentence:
        lines = textwrap.wrap(sentence, _WIDTH - len(indent) - 6)
        opening, closing = f"{indent}/* ", " */"
        for at, line in enumerate(lines):
            yield (opening if at == 0 else f"{indent}   ") + line + (closing if at == len(lines) - 1 else "")


def docstrings(path: Path, of_class: str = "") -> dict[str, str]:
    """The first sentence of the docstring below each assignment of a module or a class, by the assigned name."""
    body: list[ast.stmt] = ast.parse(path.read_text()).body
    if of_class:
        [found] = [node for node in body if isinstance(node, ast.ClassDef) and node.name == of_class]
        body = found.body
    told = {}
    for node, below in itertools.pairwise(body):
        if isinstance(node, ast.Assign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            for name in ast.walk(node.targets[0]):
                if isinstance(name, ast.Name):
                    told[name.id] = _first_sentence(str(below.value.value))
    return told


def _first_sentence(docstring: str) -> str:
    return re.split(r"(?<=[.])\s+(?=[A-Z])|\n\n", docstring, maxsplit=1)[0].replace("\n", " ").strip()


def main() -> int:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the file is as it would be")
    wanted = text()
    if not parser.parse_args().check:
        HEADER.write_text(wanted)
    elif not HEADER.exists() or HEADER.read_text() != wanted:
        print(f"{HEADER.relative_to(PROJECT)} is old: run python tools/make_native_constants.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    sys.exit(main())
