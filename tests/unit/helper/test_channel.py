import array
import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvpnd.helper import channel

from .descriptors import open_descriptors

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        yield one, other


def test_a_message_and_its_descriptor_arrive(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    with path.open() as file:
        channel.send(pair[0], b"hello", file.fileno())
    data, descriptor = channel.receive(pair[1], 100)
    assert data == b"hello"
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    with os.fdopen(descriptor) as received:
        assert received.read() == "content"


def test_the_end_is_no_bytes_and_no_descriptor(pair: Pair) -> None:
    pair[0].close()
    assert channel.receive(pair[1], 100) == (b"", None)


def test_nothing_there_yet(pair: Pair) -> None:
    with pytest.raises(BlockingIOError):
        channel.receive(pair[1], 100)


def test_a_message_of_the_largest_size(pair: Pair) -> None:
    channel.send(pair[0], b"x" * 100)
    assert channel.receive(pair[1], 100)[0] == b"x" * 100


def test_a_longer_message_is_an_error(pair: Pair) -> None:
    channel.send(pair[0], b"x" * 101, pair[0].fileno())
    before = open_descriptors()
    with pytest.raises(channel.MessageError, match="too long"):
        channel.receive(pair[1], 100)
    assert open_descriptors() == before


@pytest.mark.parametrize("number", [2, 3, 200])
def test_more_descriptors_are_an_error_and_closed(pair: Pair, number: int) -> None:
    rights = array.array("i", [pair[0].fileno()] * number)
    pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    before = open_descriptors()
    with pytest.raises(channel.MessageError, match="more than one descriptor"):
        channel.receive(pair[1], 100)
    assert open_descriptors() == before


def test_waiting_for_a_message(pair: Pair) -> None:
    async def scenario() -> bytes:
        asyncio.get_running_loop().call_later(0.01, channel.send, pair[0], b"late")
        data, _descriptor = await channel.next_message(pair[1], 100)
        return data

    assert asyncio.run(scenario()) == b"late"
