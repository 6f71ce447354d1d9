"""A tunnel's private socket, `/run/mlvpn/NAME/private.sock`: asked where the bus is down.

A unix stream socket that takes one command a line, as the control socket does. `status` is answered by the JSON of
`status.to_json`. `reload`, which root and the daemon's own user may ask (SO_PEERCRED), is answered when the reload
is done by one line: `{"ok": true}`, or `{"error": "file:line: …\\n…"}` and nothing has changed; anybody else gets
`{"error": …, "denied": true}`. The connection ends when the client has ended its side and been answered.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from mlvpnd import instance

from .errors import ConfigRefused, CtlError, NotAllowed, Unreachable

RUNTIME_DIRECTORY = Path(instance.RUNTIME_DIRECTORY)
SOCKET_NAME = "private.sock"
STATUS_LIMIT = 5.0
RELOAD_LIMIT = 60.0
"""Seconds for an answer; a reload looks names up."""
_MAX_ANSWER = 1 << 20


def socket_path(name: str, directory: Path = RUNTIME_DIRECTORY) -> Path:
    """Where the tunnel of that name listens."""
    return directory / name / SOCKET_NAME


def names(directory: Path = RUNTIME_DIRECTORY) -> list[str]:
    """The tunnels that have a socket, running or not long gone, as far as the caller may look."""
    try:
        return sorted(path.parent.name for path in directory.glob(f"*/{SOCKET_NAME}"))
    except OSError:
        return []


async def ask_status(path: Path) -> dict[str, object]:
    """The answer to `status`. Raises Unreachable, NotAllowed, CtlError."""
    return await _ask(path, "status", STATUS_LIMIT)


async def ask_reload(path: Path) -> None:
    """Has the file read again and applied. Raises ConfigRefused, Unreachable, NotAllowed, CtlError."""
    answer = await _ask(path, "reload", RELOAD_LIMIT)
    if answer.get("ok") is True:
        return
    text = str(answer.get("error", "no answer"))
    raise NotAllowed(text) if answer.get("denied") is True else ConfigRefused(text)


async def _ask(path: Path, command: str, limit: float) -> dict[str, object]:
    try:
        async with asyncio.timeout(limit):
            text = await _exchange(path, command)
        answer = json.loads(text)
    except PermissionError:
        raise NotAllowed(f"{path}: only root and the tunnel's user may ask here") from None
    except TimeoutError:
        raise CtlError(f"{path}: no answer within {limit:.0f} s") from None
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or error}") from None
    except ValueError:
        raise CtlError(f"{path}: the answer is no JSON") from None
    if not isinstance(answer, dict):
        raise CtlError(f"{path}: the answer is no JSON object")
    return answer


async def _exchange(path: Path, command: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(command.encode() + b"\n")
        writer.write_eof()
        answer = b""
        while len(answer) < _MAX_ANSWER and (piece := await reader.read(65536)):
            answer += piece
        return answer
    finally:
        writer.close()
