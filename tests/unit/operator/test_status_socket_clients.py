"""Clients of the control socket that are many, slow, greedy or gone."""

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
from pathlib import Path

import pytest

from mlvpnd.operator import status_socket
from mlvpnd.operator.status import TunnelStatus
from mlvpnd.operator.status_socket import ControlServer
from tests.support.control_scene import Connection, Served, listening, play, serve, snapshot, split

UNKNOWN = b'{"error": "unknown command"}\n'


def test_many_clients_at_once(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        clients = [await served.unix() for _ in range(status_socket.MAX_CLIENTS // 2)]
        clients += [await served.tcp() for _ in range(status_socket.MAX_CLIENTS // 2)]
        answers = await asyncio.gather(*(client.ask(b"GET /status HTTP/1.1\r\n\r\n") for client in clients))
        assert {split(answer)[0] for answer in answers} == {200}

    play(tmp_path, scene, links=12)


def test_the_client_silent_for_longest_makes_room(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        clients = [await served.unix() for _ in range(status_socket.MAX_CLIENTS)]
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
        line = b"x" * status_socket.MAX_REQUEST_SIZE
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
            assert len(served.snapshots) < 20  # answers that it did not read were not made
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
            await asyncio.sleep(status_socket.ACCEPT_PAUSE / 2)
        assert await (await served.unix()).ask(b"quit\n") == b"bye."
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, unfinished = await asyncio.wait(others, timeout=10)
            assert not unfinished

    play(tmp_path, scene, links=12)
    assert caplog.messages == []


def test_answers_leave_the_process_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Greedy clients get turns in a tenth of the time. The rest is for whatever else the process does."""

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

    monkeypatch.setitem(status_socket._RENDERERS, "status", ("text/plain", slow_render))

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
        assert min(pauses) >= 0.9 * status_socket.PAUSE_FACTOR * 0.005

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
    monkeypatch.setattr(status_socket, "RETRY_ACCEPT", 0.1)

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
from mlvpnd.operator.status_socket import ControlServer
from mlvpnd.operator.status import LinkState, LinkStatus, TunnelStatus

class Refuser:
    def find_spec(self, name, path=None, target=None):
        raise ImportError(name)

def take():
    link = LinkStatus("a", "client", status=LinkState.CONNECTED)
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
        cwd=Path(__file__).parents[3],
        timeout=30,
        check=True,
    )
    assert finished.stdout == "served\n"
