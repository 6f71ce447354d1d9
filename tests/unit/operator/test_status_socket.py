"""The control socket as clients see it, well-behaved and not."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlvpnd.operator.status_socket import ControlServer
from tests.support.control_scene import Connection, Served, play, serve, snapshot, split

UNKNOWN = b'{"error": "unknown command"}\n'


# Text.


@pytest.mark.parametrize("command", [b"status", b"/status", b"STATUS", b"Status of what", b"  /sTaTuS  \r"])
def test_status_as_text_keeps_the_connection(tmp_path: Path, command: bytes) -> None:
    async def scene(served: Served) -> None:
        client = await served.unix()
        for _ in range(3):
            client.writer.write(command + b"\n")
            assert (await client.json())["tunnel"] == "test"
        assert await client.ask(b"quit\n") == b"bye."

    play(tmp_path, scene)


@pytest.mark.parametrize("command", [b"metrics", b"/Metrics"])
def test_metrics_as_text(tmp_path: Path, command: bytes) -> None:
    async def scene(served: Served) -> None:
        text = (await (await served.unix()).ask(command + b"\nquit\n")).decode().removesuffix("bye.")
        assert "connected" in {family.name for family in text_string_to_metric_families(text)}

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"quit\n", b"bye."),
        (b"/QUIT now\nstatus\n", b"bye."),
        (b"\x04", b""),
        (b"hello\n\x04status\n", UNKNOWN),
        (b"hello\nyou\nquit\n", UNKNOWN * 2 + b"bye."),
        (b"\n\r\n \n\t\nquit\n", b"bye."),
        (b"\xff\xfe\x00\n\x1c\n\x04", UNKNOWN * 2),
        (b"GET /nothing\n\x04", UNKNOWN),
        (b"GET status HTTP/9\n\x04", UNKNOWN),
        (b"q\ru\rit\r\n", b"bye."),
    ],
)
def test_text_answers(tmp_path: Path, sent: bytes, answer: bytes) -> None:
    async def scene(served: Served) -> None:
        assert await (await served.unix()).ask(sent) == answer

    play(tmp_path, scene)


def test_every_command_of_a_segment_is_answered_also_after_a_half_close(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        client = await served.unix()
        client.writer.write(b"status\nnonsense\nmetrics\nstatus")
        client.writer.write_eof()
        answer = await client.rest()
        assert answer.count(b'"tunnels": [') == 2
        assert answer.count(UNKNOWN) == 1
        assert answer.count(b"# TYPE uptime gauge\n") == 1
        assert answer.endswith(b"]}\n")

    play(tmp_path, scene)


def test_byte_at_a_time(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        client = await served.unix()
        for byte in b"status\r\nquit\n":
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0.002)
        assert (await client.json())["tunnel"] == "test"
        assert await client.rest() == b"bye."

    play(tmp_path, scene)


# HTTP.


@pytest.mark.parametrize("connect", [Served.unix, Served.tcp])
@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        (b"/status", "application/json"),
        (b"/status?pretty", "application/json"),
        (b"STATUS", "application/json"),
        (b"http://gateway.example:1040/status", "application/json"),
        (b"/metrics", "text/plain; version=0.0.4"),
    ],
)
def test_get(
    tmp_path: Path, connect: Callable[[Served], Coroutine[Any, Any, Connection]], target: bytes, content_type: str
) -> None:
    async def scene(served: Served) -> None:
        request = b"GET %s HTTP/1.1\r\nHost: gateway\r\nstatus: metrics\r\n\r\n" % target
        code, fields, body = split(await (await connect(served)).ask(request))
        assert code == 200
        assert fields["Content-Type"] == content_type
        assert int(fields["Content-Length"]) == len(body)
        assert fields["Connection"] == "close"
        assert fields["Server"] == "mlvpn"
        assert fields["Access-Control-Allow-Origin"] == "*"
        if content_type == "application/json":
            assert json.loads(body)["tunnel"] == "test"
        else:
            assert list(text_string_to_metric_families(body.decode()))
        assert len(served.snapshots) == 1

    play(tmp_path, scene)


def test_head_is_get_without_a_body(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        _, expected, body = split(await (await served.tcp()).ask(b"GET /status HTTP/1.1\r\n\r\n"))
        code, fields, nothing = split(await (await served.tcp()).ask(b"HEAD /status HTTP/1.1\r\n\r\n"))
        assert (code, nothing) == (200, b"")
        assert fields["Content-Length"] == expected["Content-Length"] == str(len(body))

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /status/more HTTP/1.1\r\n\r\n", 404),
        (b"GET /quit HTTP/1.0\r\n\r\n", 404),
        (b"POST /status HTTP/1.1\r\nContent-Length: 7\r\n\r\nstatus\n", 405),
        (b"get /status HTTP/1.1\r\n\r\n", 405),
        (b"GET /status HTTP/2.0\r\n\r\n", 400),
        (b"GET /status more HTTP/1.1\r\n\r\n", 400),
        (b"status\r\n", 400),
        (b"\x16\x03\x01\x02\x00\n", 400),
        (b"GET /status HTTP/1.1\r\n" + b"Cookie: x\r\n" * 1000 + b"\r\n", 431),
        (b"GET /status HTTP/1.1\r\nCookie: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
    ],
    ids=range(12),
)
def test_http_refusals(tmp_path: Path, request_bytes: bytes, code: int) -> None:
    async def scene(served: Served) -> None:
        found, fields, body = split(await (await served.tcp()).ask(request_bytes))
        assert found == code
        assert int(fields["Content-Length"]) == len(body)
        assert "error" in json.loads(body)
        assert ("Allow" in fields) == (code == 405)
        assert served.snapshots == []

    play(tmp_path, scene)


@pytest.mark.parametrize("connect", [Served.unix, Served.tcp])
@pytest.mark.parametrize("request_bytes", [b"GET /status HTTP/1.1\r\n", b"GET /status\n", b"x status\n"])
def test_a_request_line_alone_is_enough(
    tmp_path: Path, connect: Callable[[Served], Coroutine[Any, Any, Connection]], request_bytes: bytes
) -> None:
    async def scene(served: Served) -> None:
        code, _, body = split(await (await connect(served)).ask(request_bytes))
        assert (code, json.loads(body)["tunnel"]) == (200, "test")

    play(tmp_path, scene)


def test_http_byte_at_a_time(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        client = await served.tcp()
        for byte in b"GET /status HTTP/1.1\r\nHost: gateway\r\n\r\n":
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0.002)
        assert split(await client.rest())[0] == 200

    play(tmp_path, scene)


def test_a_library_client_gets_it(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        def fetch() -> Any:
            with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/status", timeout=5) as answer:
                return json.load(answer)

        assert (await asyncio.to_thread(fetch))["pid"] == os.getpid()

    asyncio.run(_with_server(tmp_path, scene))


async def _with_server(directory: Path, scene: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
    async with serve(directory) as served:
        await scene(served)


def test_a_family_that_the_system_lacks_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """An example is IPv6 where it is switched off; `localhost` has an IPv6 address all the same."""

    async def run() -> None:
        server = ControlServer(snapshot, None, [(4711, ("::1", 1040, 0, 0)), (socket.AF_INET, ("127.0.0.1", 0))])
        await server.start()
        assert [address[0] for address in server.http_addresses] == ["127.0.0.1"]
        await server.close()

    asyncio.run(run())
    assert caplog.messages == [f"cannot bind socket [::1]:1040: {os.strerror(errno.EAFNOSUPPORT)}"]


def test_ipv4_and_ipv6_side_by_side_and_a_port_in_use_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        server = ControlServer(
            snapshot,
            None,
            [
                (socket.AF_INET, taken.getsockname()),
                (socket.AF_INET6, ("::1", 0, 0, 0)),
                (socket.AF_INET, ("127.0.0.1", 0)),
            ],
        )
        await server.start()
        try:
            assert [address[0] for address in server.http_addresses] == ["::1", "127.0.0.1"]
            for address in server.http_addresses:
                client = Connection(*await asyncio.open_connection(*address[:2]))
                assert split(await client.ask(b"GET /status HTTP/1.1\r\n\r\n"))[0] == 200
        finally:
            await server.close()
            taken.close()
        assert caplog.messages == [f"cannot bind socket 127.0.0.1:{taken_port}: {os.strerror(errno.EADDRINUSE)}"]

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as probe:
        taken_port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        original = socket.create_server
        patch.setattr(socket, "create_server", lambda *_: original(("127.0.0.1", taken_port)))
        asyncio.run(run())
