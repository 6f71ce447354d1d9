"""Serves a connection: one request, one answer, close."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Set

from mlvpnd.errors import MlvpndError
from mlvpnd.logs import journal
from mlvpnd.logs.log import logger

from . import channel, requests
from .operations import Operations

REQUEST_TIME_LIMIT = 10.0
"""Seconds that a caller has to send its request."""

_log = logger("privsep")


def refuse(sock: socket.socket, reason: object) -> None:
    """Logs the reason; answers only "refused", so that the caller knows that the helper has not crashed."""
    _log.error("request refused: %s", reason, extra=journal.fields("helper-refused", reason=str(reason)))
    with contextlib.suppress(OSError):  # the caller did not wait
        channel.send(sock, json.dumps({"error": "refused"}).encode())


async def serve_connection(
    sock: socket.socket, operations: Operations, allowed: Set[type[requests.Request]] = requests.BY_HAND
) -> None:
    """Serves a connection's one request and closes the connection; never raises.

    A message that is no request of the table, or whose type is not `allowed`, is refused.
    """
    with sock:
        try:
            async with asyncio.timeout(REQUEST_TIME_LIMIT):
                data, descriptor = await channel.next_message(sock, requests.MAX_REQUEST_SIZE)
        except channel.MessageError as error:
            refuse(sock, error)
            return
        except (TimeoutError, OSError):
            return
        if not data and descriptor is None:
            return  # the caller changed its mind
        try:
            request = requests.parse(data, 0 if descriptor is None else 1)
            if type(request) not in allowed:
                raise requests.Refused(f"{request.OP}: not served here")
        except requests.Refused as error:
            if descriptor is not None:
                os.close(descriptor)
            refuse(sock, error)
            return
        await _answer(sock, request, descriptor, operations)


async def _answer(
    sock: socket.socket, request: requests.Request, descriptor: int | None, operations: Operations
) -> None:
    members: dict[str, object]
    returned = None
    try:
        answer = await operations.perform(request, descriptor)
        members, returned = {"ok": True, **answer.members}, answer.descriptor
    except (MlvpndError, OSError) as error:
        members = {"error": str(error)}
    except Exception:
        _log.exception("%s failed", request.OP)
        members = {"error": f"{request.OP}: internal error, see the log"}
    try:
        with contextlib.suppress(OSError):  # the caller did not wait
            channel.send(sock, json.dumps(members).encode(), returned)
    finally:
        if returned is not None:
            os.close(returned)
