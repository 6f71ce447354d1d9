"""A tunnel's private socket, `/run/mlvpn/NAME/private.sock`: asked if the bus is down.

It is a unix stream socket that takes one command a line, as the control socket does. The answer to `status` is the JSON
of `status.to_json`. Only root and the daemon's own user (SO_PEERCRED) may ask for `reload` and `forget`; others get
`{"error": …, "denied": true}`. When it is done, one line answers: `{"ok": true}`, or, if the file is wrong and nothing
has changed, `{"error": "file:line: …\\n…"}`. The connection ends when the client has ended its side and been
answered.
"""

from __future__ import annotations

import os
import socket
import time

from mlvpnd.base.instance import RUNTIME_DIRECTORY
from mlvpnd.bus.caller import connected

from .errors import ConfigRefused, CtlError, NotAllowed, Unreachable

SOCKET_NAME = "private.sock"
STATUS_LIMIT = 5.0
RELOAD_LIMIT = 60.0
"""Seconds for an answer: to `status`, and to `reload`, which looks names up."""
_MAX_ANSWER = 1 << 20


def socket_path(name: str, directory: str = RUNTIME_DIRECTORY) -> str:
    """The path where the tunnel `name` listens."""
    return f"{directory}/{name}/{SOCKET_NAME}"


def names(directory: str = RUNTIME_DIRECTORY) -> list[str]:
    """The tunnels that have a socket, running or recently ended, as far as the caller may look."""
    try:
        entries = os.listdir(directory)
    except OSError:
        return []
    return sorted(name for name in entries if os.path.exists(socket_path(name, directory)))


def ask_status(path: str) -> dict[str, object]:
    """The answer to `status`. Raises Unreachable, NotAllowed, CtlError."""
    return _ask(path, "status", STATUS_LIMIT)


def ask_reload(path: str) -> list[str]:
    """Has the file read again and applied; returns warnings about it.

    Raises ConfigRefused, Unreachable, NotAllowed, CtlError.
    """
    answer = _ask(path, "reload", RELOAD_LIMIT)
    if answer.get("ok") is not True:
        raise _refusal(answer, ConfigRefused)
    warnings = answer.get("warnings")
    return [str(one) for one in warnings] if isinstance(warnings, list) else []


def ask_forget(path: str) -> None:
    """Has what outlasts a stop forgotten. Raises Unreachable, NotAllowed, CtlError."""
    answer = _ask(path, "forget", STATUS_LIMIT)
    if answer.get("ok") is not True:
        raise _refusal(answer, CtlError)


def _refusal(answer: dict[str, object], kind: type[CtlError]) -> CtlError:
    text = str(answer.get("error", "no answer"))
    return NotAllowed(text) if answer.get("denied") is True else kind(text)


def _ask(path: str, command: str, limit: float) -> dict[str, object]:
    import json  # most runs do not need it

    try:
        answer = json.loads(_exchange(path, command, limit))
    except PermissionError:
        raise NotAllowed(f"{path}: only root and the tunnel's user may ask here") from None
    except TimeoutError:
        raise CtlError(f"{path}: no answer within {limit:.0f} s") from None
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or error}") from None
    except ValueError:
        raise CtlError(f"{path}: the answer is not JSON") from None
    if not isinstance(answer, dict):
        raise CtlError(f"{path}: the answer is not a JSON object")
    return answer


def _exchange(path: str, command: str, limit: float) -> bytes:
    until = time.monotonic() + limit
    with connected(path, limit) as sock:
        sock.sendall(command.encode() + b"\n")
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while len(answer) < _MAX_ANSWER:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
            piece = sock.recv(65536)
            if not piece:
                break
            answer += piece
        return answer
