"""No bytes, in whatever pieces, stop the control server or cost it more than its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tempfile
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mlvpnd.operator import status
from mlvpnd.operator.metrics import to_metrics
from mlvpnd.operator.status import LinkState, LinkStatus, TunnelStatus
from mlvpnd.operator.status_socket import ControlServer

TIME_SLIP = 10.0
"""Seconds in which an answer must come on a busy machine."""


def snapshot() -> TunnelStatus:
    """A tunnel of twelve links, upstream's heap overflow."""
    links = tuple(LinkStatus(f"link{n}", "client", status=LinkState.CONNECTED) for n in range(12))
    return TunnelStatus("test", "mlvpn0", "tun", 1.0, 1.0, 2.0, 1, links)


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[list[tuple[int, str | tuple[str, int]]]]:
    """Families and addresses of a running server: unix, then TCP."""
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory, "control"))
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(path)
        unix.listen(64)
        server = ControlServer(snapshot, unix, [(socket.AF_INET, ("127.0.0.1", 0))], idle_limit=0.3)
        await server.start()
        try:
            yield [(socket.AF_UNIX, path), (socket.AF_INET, server.http_addresses[0])]
        finally:
            await server.close()


async def talk(family: int, address: str | tuple[str, int], pieces: list[bytes]) -> bytes:
    """Sends the pieces, then the end, and reads the answer. A server may close at any time."""
    loop = asyncio.get_running_loop()
    answer = b""
    with socket.socket(family) as sock:
        sock.setblocking(False)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(TIME_SLIP):
                await loop.sock_connect(sock, address)
                for piece in pieces:
                    await loop.sock_sendall(sock, piece)
                    await asyncio.sleep(0)
                sock.shutdown(socket.SHUT_WR)
                while data := await loop.sock_recv(sock, 1 << 16):
                    answer += data
    return answer


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.sampled_from(
            [
                b"status\n",
                b"metrics\r\n",
                b"quit\n",
                b"\x04",
                b"GET /status HTTP/1.1\r\n",
                b"Host: a\r\n",
                b"\r\n",
                b"GET ",
                b"status",
                b" HTTP/1.1",
                b"\n",
                b"\r",
                b"x" * 9000,
                b"POST / HTTP/1.1\r\n\r\nstatus\n",
                b"a b\n",
            ]
        ),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([0, 1]), PIECES), min_size=1, max_size=6))
@example([(0, [b"\x1c\n"]), (1, [b"\x1c\n"]), (0, [b"\x85 \xa0\n"])])
def test_after_any_bytes_the_server_answers(clients: list[tuple[int, list[bytes]]]) -> None:
    async def run() -> None:
        async with served() as where:
            await asyncio.gather(*(talk(*where[which], pieces) for which, pieces in clients))
            assert json.loads(await talk(*where[0], [b"status\n"]))["tunnel"] == "test"
            answer = await talk(*where[1], [b"GET /status HTTP/1.1\r\n\r\n"])
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")

    asyncio.run(run())


@settings(deadline=None, max_examples=60)
@given(PIECES)
def test_an_http_answer_is_one_whole_answer(pieces: list[bytes]) -> None:
    async def run() -> None:
        async with served() as where:
            answer = await talk(*where[1], pieces)
        if answer:
            head, _, body = answer.partition(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            code = int(head.split(b" ")[1])
            assert code in (200, 400, 404, 405, 431)
            assert len(body) in (0, int(fields[b"Content-Length"]))

    asyncio.run(run())


@settings(deadline=None, max_examples=3)
@given(st.binary(min_size=1, max_size=64), st.sampled_from([0, 1]))
@example(b"\n", 0)
@example(b"status\n", 0)
@example(b"a\n", 0)
@example(b"GET /status HTTP/1.1\r\n", 1)
def test_a_flood_costs_little_memory(unit: bytes, which: int) -> None:
    async def run() -> None:
        async with served() as where:
            flood = [(unit * 65536)[:65536]] * 4
            await talk(*where[which], [unit])
            tracemalloc.start()
            try:
                await asyncio.wait({asyncio.ensure_future(pour(*where[which], flood)) for _ in range(20)})
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            # 20 clients with an answer of 8 to 20 KB and 12 KB of input each, and their tasks.
            assert peak < 3_000_000
            assert await talk(*where[0], [b"quit\n"]) == b"bye."

    async def pour(family: int, address: str | tuple[str, int], flood: list[bytes]) -> None:
        # This client never reads, so the server cannot take all of its bytes.
        loop = asyncio.get_running_loop()
        with socket.socket(family) as sock, contextlib.suppress(ConnectionError, TimeoutError):
            sock.setblocking(False)
            async with asyncio.timeout(0.4):
                await loop.sock_connect(sock, address)
                for piece in flood:
                    await loop.sock_sendall(sock, piece)

    asyncio.run(run())


TEXTS = st.text(max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4, unique_by=lambda pair: pair[0]), TEXTS)
def test_any_names_come_back_from_json_and_metrics(links: list[tuple[str, str]], name: str) -> None:
    rendered = TunnelStatus(
        name,
        "mlvpn0",
        "tun",
        1.5,
        2.5,
        3.5,
        1,
        tuple(LinkStatus(one, "client", status=LinkState.LOSSY, peer=peer, drops={peer: 1}) for one, peer in links),
    )
    expected = [one for one, _ in reversed(links)]
    assert [one["name"] for one in json.loads(status.to_json(rendered))["tunnels"]] == expected
    families = {family.name: family for family in text_string_to_metric_families(to_metrics(rendered))}
    assert [sample.labels["tunnel"] for sample in families["lossy"].samples] == expected
    assert [(sample.labels["link"], sample.labels["peer"]) for sample in families["mlvpn_link_info"].samples] == links[
        ::-1
    ]
    assert families["mlvpn_info"].samples[0].labels["tunnel"] == name
