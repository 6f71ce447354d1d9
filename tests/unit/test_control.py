"""The control socket as clients see it, well-behaved and not."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import logging
import os
import resource
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlvpnd import control
from mlvpnd.control import ControlServer
from mlvpnd.status import LinkState, LinkStatus, TunnelStatus

UNKNOWN = b'{"error": "unknown command"}\n'


def snapshot(links: int = 1) -> TunnelStatus:
    """A tunnel with so many links."""
    return TunnelStatus(
        name="test",
        interface="mlvpn0",
        kind="tun",
        started_at=1000,
        reloaded_at=1000,
        now=1010,
        pid=os.getpid(),
        links=tuple(LinkStatus(f"link{n}", "client", LinkState.CONNECTED) for n in range(links)),
    )


def listening(path: Path) -> socket.socket:
    """A unix socket as the helper hands it in."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(64)
    return sock


@dataclass
class Served:
    """A running server and where it is."""

    server: ControlServer
    path: str
    port: int
    snapshots: list[int] = field(default_factory=list)
    """One entry for each snapshot that was taken."""

    async def unix(self) -> Connection:
        return Connection(*await asyncio.open_unix_connection(self.path))

    async def tcp(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port))


@dataclass
class Connection:
    """A client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, data: bytes) -> bytes:
        """Sends, and reads to the end of the connection."""
        self.writer.write(data)
        return await self.rest()

    async def rest(self) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        finally:
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()

    async def json(self) -> Any:
        """The next JSON object, in upstream's layout."""
        return json.loads(await asyncio.wait_for(self.reader.readuntil(b"]}\n"), 10))


@contextlib.asynccontextmanager
async def serve(directory: Path, *, links: int = 1, idle_limit: float = 5.0) -> AsyncIterator[Served]:
    """A server on a unix socket and on TCP; nothing of it is left afterwards."""
    taken: list[int] = []

    def take() -> TunnelStatus:
        taken.append(1)
        return snapshot(links)

    path = directory / "control"
    server = ControlServer(take, listening(path), [(socket.AF_INET, ("127.0.0.1", 0))], idle_limit=idle_limit)
    await server.start()
    try:
        yield Served(server, str(path), server.http_addresses[0][1], taken)
    finally:
        await server.close()
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def play(directory: Path, scene: Callable[[Served], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Runs a scene with a server."""

    async def run() -> None:
        async with serve(directory, **options) as served:
            await scene(served)

    descriptors = len(os.listdir("/proc/self/fd"))
    asyncio.run(run())
    assert len(os.listdir("/proc/self/fd")) == descriptors


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Code, header fields and body of an HTTP answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    version, code, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines)
    return int(code), fields, body


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
    """As IPv6 where it is switched off; `localhost` has an address of it all the same."""

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


# Clients that are many, slow, greedy or gone.


def test_many_clients_at_once(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        clients = [await served.unix() for _ in range(control.MAX_CLIENTS // 2)]
        clients += [await served.tcp() for _ in range(control.MAX_CLIENTS // 2)]
        answers = await asyncio.gather(*(client.ask(b"GET /status HTTP/1.1\r\n\r\n") for client in clients))
        assert {split(answer)[0] for answer in answers} == {200}

    play(tmp_path, scene, links=12)


def test_the_client_silent_for_longest_makes_room(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        clients = [await served.unix() for _ in range(control.MAX_CLIENTS)]
        for client in (*clients[1:], clients[0]):
            client.writer.write(b"status\n")
            await client.json()
        newcomers = [await served.unix() for _ in range(2)]
        for client in (*newcomers, clients[0], *clients[3:]):
            client.writer.write(b"status\n")
            assert (await client.json())["tunnel"] == "test"
        for client in clients[1:3]:
            assert await client.rest() == b""
        for client in (*newcomers, clients[0], *clients[3:]):
            assert await client.ask(b"quit\n") == b"bye."

    play(tmp_path, scene)


def test_a_silent_client_is_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mlvpnd")

    async def scene(served: Served) -> None:
        for connect, start in ((served.unix, b""), (served.unix, b"stat"), (served.tcp, b"GET / HTTP/1.1\r\nHo")):
            assert await (await connect()).ask(start) == b""

    play(tmp_path, scene, idle_limit=0.2)
    assert caplog.records[0].name == "mlvpnd.control"
    assert caplog.messages[0].startswith("client ")
    assert caplog.messages[0].endswith(" timeout.")


def test_a_client_that_speaks_now_and_then_is_not_idle(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        client = await served.unix()
        for _ in range(5):
            await asyncio.sleep(0.3)
            client.writer.write(b"status\n")
            await client.json()
        assert await client.ask(b"quit\n") == b"bye."

    play(tmp_path, scene, idle_limit=1.2)


def test_a_huge_line_closes_the_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(served: Served) -> None:
        assert await (await served.unix()).ask(b"status\n" + b"x" * 20_000) != b""
        assert await (await served.unix()).ask(b"x" * 1_000_000) == b""

    play(tmp_path, scene)
    assert caplog.messages == ["overflow on read buffer"]


def test_a_line_of_the_largest_size_is_read(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        line = b"x" * control.MAX_REQUEST_SIZE
        assert await (await served.unix()).ask(line + b"\nquit\n") == UNKNOWN + b"bye."

    play(tmp_path, scene)


def small_buffers(path: str) -> socket.socket:
    """A client whose kernel buffers hold little."""
    sock = socket.socket(socket.AF_UNIX)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sock.connect(path)
    sock.setblocking(False)
    return sock


def test_a_client_that_does_not_read_is_cut_and_others_are_served(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        loop = asyncio.get_running_loop()
        with small_buffers(served.path) as greedy:
            await loop.sock_sendall(greedy, b"status\n" * 200)
            await asyncio.sleep(0.1)
            assert (await (await served.unix()).ask(b"status\nquit\n")).endswith(b"]}\nbye.")
            assert len(served.snapshots) < 20  # what it did not read was not made
            await asyncio.sleep(0.5)
            received = 0
            with contextlib.suppress(ConnectionError):
                while data := await loop.sock_recv(greedy, 1 << 16):
                    received += len(data)
            assert received < 2_000_000

    play(tmp_path, scene, links=128, idle_limit=0.3)


def test_a_slow_reader_gets_all_of_it(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        loop = asyncio.get_running_loop()
        with small_buffers(served.path) as slow:
            await loop.sock_sendall(slow, b"status\nquit\n")
            text = b""
            while data := await loop.sock_recv(slow, 4096):
                text += data
                await asyncio.sleep(0.005)
            assert len(json.loads(text.removesuffix(b"bye."))["tunnels"]) == 128

    play(tmp_path, scene, links=128)


def test_clients_that_go_away_leave_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(served: Served) -> None:
        for number in range(200):
            client = socket.socket(socket.AF_UNIX)
            client.connect(served.path)
            client.send((b"", b"status\n", b"GET /status HTTP/1.1\r\n\r\n", b"stat")[number % 4])
            client.close()
            await asyncio.sleep(control.ACCEPT_PAUSE / 2)
        assert await (await served.unix()).ask(b"quit\n") == b"bye."
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, unfinished = await asyncio.wait(others, timeout=10)
            assert not unfinished

    play(tmp_path, scene, links=12)
    assert caplog.messages == []


def test_answers_leave_the_process_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Greedy clients get turns in a tenth of the time; whatever else the process does has the rest."""

    turns: list[tuple[float, float]] = []
    enough = asyncio.Event()

    def slow_render(_: TunnelStatus) -> str:
        now = asyncio.get_running_loop().time
        begin = now()
        while now() < begin + 0.005:
            pass
        turns.append((begin, now()))
        if len(turns) == 10:
            enough.set()
        return "x\n"

    monkeypatch.setitem(control._RENDERERS, "status", ("text/plain", slow_render))

    async def scene(served: Served) -> None:
        async def be_greedy() -> None:
            client = await served.unix()
            with contextlib.suppress(asyncio.CancelledError):
                while True:
                    client.writer.write(b"status\n" * 50)
                    await client.reader.readline()
            client.writer.transport.abort()

        greedy = [asyncio.create_task(be_greedy()) for _ in range(8)]
        await asyncio.wait_for(enough.wait(), 20)
        for task in greedy:
            task.cancel()
        await asyncio.gather(*greedy)
        pauses = [begin - end for (_, end), (begin, _) in itertools.pairwise(turns)]
        assert min(pauses) >= 0.9 * control.PAUSE_FACTOR * 0.005

    play(tmp_path, scene)


def test_a_failing_snapshot_costs_one_answer(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    fails = [True]

    def take() -> TunnelStatus:
        if fails.pop() if fails else False:
            raise KeyError("broken")
        return snapshot()

    async def run() -> None:
        server = ControlServer(take, listening(tmp_path / "control"))
        await server.start()
        for expected in (b"", b"bye."):
            client = Connection(*await asyncio.open_unix_connection(str(tmp_path / "control")))
            assert (await client.ask(b"status\nquit\n")).endswith(expected)
        await server.close()

    asyncio.run(run())
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_accept_without_descriptors_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "RETRY_ACCEPT", 0.1)

    async def scene(served: Served) -> None:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
        try:
            client.connect(served.path)
            await asyncio.sleep(0.25)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"quit\n")
        assert await asyncio.wait_for(loop.sock_recv(client, 100), 5) == b"bye."
        client.close()

    play(tmp_path, scene)
    assert caplog.messages == [f"accept error: {os.strerror(errno.EMFILE)}"]


def test_close_ends_open_connections(tmp_path: Path) -> None:
    async def run() -> None:
        async with serve(tmp_path) as served:
            clients = [await served.unix(), await served.tcp()]
            for client in clients:
                client.writer.write(b"stat")
            await asyncio.sleep(0.05)
        for client in clients:
            with contextlib.suppress(ConnectionError):
                assert await client.rest() == b""

    asyncio.run(run())


CHROOT_PROGRAM = """
import asyncio, os, socket, sys
from mlvpnd.control import ControlServer
from mlvpnd.status import LinkState, LinkStatus, TunnelStatus

class Refuser:
    def find_spec(self, name, path=None, target=None):
        raise ImportError(name)

def take():
    link = LinkStatus("a", "client", LinkState.CONNECTED)
    return TunnelStatus("t", "mlvpn0", "tun", 1.0, 1.0, 2.0, 1, (link,))

async def ask(sock, data):
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, data)
    answer = b""
    while part := await loop.sock_recv(sock, 65536):
        answer += part
    sock.close()
    return answer

async def main():
    server = ControlServer(take, unix, [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0, 0, 0))])
    await server.start()
    loop = asyncio.get_running_loop()
    for address in server.http_addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        for_http = await ask(sock, b"GET /metrics HTTP/1.1\\r\\n\\r\\n")
        assert for_http.startswith(b"HTTP/1.1 200 OK"), for_http
    assert (await ask(client, b"status\\nmetrics\\nwhat\\nquit\\n")).endswith(b"bye.")
    await server.close()

unix = socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[2])
unix.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[2])
client.setblocking(False)
asyncio.run(asyncio.sleep(0))
os.chroot(sys.argv[1])
os.chdir("/")
sys.meta_path.insert(0, Refuser())
asyncio.run(main())
print("served")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_nothing_is_imported_or_opened_in_the_chroot(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    finished = subprocess.run(
        [sys.executable, "-c", CHROOT_PROGRAM, str(empty), str(tmp_path / "control")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=30,
        check=True,
    )
    assert finished.stdout == "served\n"
