"""Servers that are no bus, and what a real bus does not do. tests/bus/test_mlvpnctl.py speaks to a real one."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlvpnd.bus import caller, errors, lib
from mlvpnd.bus.caller import Caller, connected
from mlvpnd.bus.errors import BusError, BusUnavailable
from mlvpnd.bus.message import Kind, Message, Splitter

Server = Callable[[socket.socket], None]


@contextlib.contextmanager
def bus(path: Path, serve: Server) -> Iterator[str]:
    """The address of a server that takes one connection, hands it to `serve`, and ends it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path / "bus"))
        listener.listen(1)
        listener.settimeout(10)

        def run() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"unix:path={path}/missing;unix:path={path}/bus"
        thread.join()


class Script:
    """A bus that answers word for word as the test has it; `took` holds the calls after Hello."""

    def __init__(self, *answers: Callable[[Message], list[Message]]) -> None:
        self.took: list[Message] = []
        self._answers = answers

    def __call__(self, connection: socket.socket) -> None:
        splitter = Splitter(65536)
        assert connection.recv(4096).startswith(b"\0AUTH EXTERNAL ")
        connection.sendall(b"OK 1234\r\n")
        data = connection.recv(7, socket.MSG_WAITALL)
        assert data == b"BEGIN\r\n"
        waiting = [self._hello, *self._answers]
        while waiting and (data := connection.recv(4096)):
            for call in splitter.feed(data):
                if call.member != "Hello":
                    self.took.append(call)
                for message in waiting.pop(0)(call):
                    connection.sendall(encoded(message))

    @staticmethod
    def _hello(call: Message) -> list[Message]:
        return [reply(call, ":1.5")._replace(sender="org.freedesktop.DBus")]


def encoded(message: Message) -> bytes:
    """The message as bytes, with the sender: a header field that the bus adds, and nobody else."""
    data = lib.encode(message)
    if not message.sender:
        return data
    (size,) = struct.unpack_from("<I", data, 12)
    fields, body = data[16 : 16 + size], data[16 + size + -size % 8 :]
    fields += bytes(-size % 8) + b"\7\1s\0" + struct.pack("<I", len(message.sender)) + message.sender.encode() + b"\0"
    return data[:12] + struct.pack("<I", len(fields)) + fields + bytes(-len(fields) % 8) + body


def reply(call: Message, value: str) -> Message:
    return Message(kind=Kind.RETURN, serial=9, reply_serial=call.serial, signature="s", body=[value])


def signal(number: int) -> Message:
    return Message(kind=Kind.SIGNAL, serial=9, path="/", interface="a.b", member=f"S{number}")


CALL = Message(kind=Kind.CALL, destination="a.b", path="/", member="Ask")


def test_an_answer_and_what_comes_with_it(tmp_path: Path) -> None:
    """Another call's answer is not taken, and signals are kept in their order."""
    script = Script(
        lambda call: [
            signal(1),
            reply(call, "other")._replace(reply_serial=77),
            signal(2),
            reply(call, "mine"),
            signal(3),
        ]
    )
    with bus(tmp_path, script) as address:
        one = Caller.open(address)
        try:
            assert one.call(CALL) == ["mine"]
            assert [one.signal().member for _ in range(3)] == ["S1", "S2", "S3"]
            with pytest.raises(BusUnavailable, match="the bus closed the connection"):
                one.signal()
        finally:
            one.close()
    assert [call.member for call in script.took] == ["Ask"]


def test_who_may_answer(tmp_path: Path) -> None:
    """The called client may answer, or the bus for a client that is gone. For the bus, nobody else may."""

    def answers(call: Message) -> list[Message]:
        gone = reply(call, "gone")._replace(kind=Kind.ERROR, error_name="a.b")
        return [
            reply(call, "false")._replace(sender=":1.66"),
            gone._replace(sender=":1.66"),
            gone._replace(sender="org.freedesktop.DBus"),
        ]

    with bus(tmp_path, Script(answers)) as address:
        one = Caller.open(address)
        try:
            with pytest.raises(BusError, match="gone"):
                one.call(CALL, answerer=":1.7")
        finally:
            one.close()


def test_who_does_not_answer(tmp_path: Path) -> None:
    """Signals do not make the limit longer."""
    with bus(tmp_path, Script(lambda call: [signal(1)], lambda call: [])) as address:
        one = Caller.open(address)
        try:
            with pytest.raises(BusError, match=r"Ask: no answer after 0\.2 s") as caught:
                one.call(CALL, limit=0.2)
            assert caught.value.name == errors.NO_REPLY
        finally:
            one.close()


def problem(path: Path, server: Server) -> str:
    """What is said of a bus that behaves like `server`."""
    with bus(path, server) as address, pytest.raises(BusUnavailable) as caught:
        Caller.open(address)
    return str(caught.value)


def test_a_bus_that_refuses(tmp_path: Path) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"REJECTED EXTERNAL\r\n")
        connection.recv(4096)

    assert problem(tmp_path, refuse) == "the bus does not accept this process"


def test_a_line_without_end(tmp_path: Path) -> None:
    def babble(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 4096)

    assert problem(tmp_path, babble) == "the bus does not accept this process"


def test_a_bus_that_ends(tmp_path: Path) -> None:
    assert problem(tmp_path, lambda connection: None) in (
        "the bus does not accept this process",
        "Connection reset by peer",
        "Broken pipe",
    )


def test_a_bus_that_speaks_something_else(tmp_path: Path) -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"OK 1234\r\n")
        connection.recv(7, socket.MSG_WAITALL)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.recv(4096)

    assert problem(tmp_path, speak) == "not a D-Bus message"


def test_a_bus_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "CONNECT_LIMIT", 0.2)
    ended = threading.Event()
    assert problem(tmp_path, lambda connection: None if ended.wait(0.6) else None) == "no answer in time"


def test_a_queue_that_is_full_is_waited_for(tmp_path: Path) -> None:
    """The wait lasts up to the limit; only then is it an error."""
    path = str(tmp_path / "full")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(path)
        listener.listen(0)
        stack.enter_context(connected(path, 5))
        with pytest.raises(TimeoutError):
            connected(path, 0.2)

        def accept() -> None:
            stack.callback(listener.accept()[0].close)

        timer = threading.Timer(0.2, accept)
        timer.start()
        stack.enter_context(connected(path, 5))
        timer.join()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(BusUnavailable, match="No such file"):
        Caller.open(f"unix:path={tmp_path}/none")
    with pytest.raises(BusUnavailable, match="no usable address"):
        Caller.open("tcp:host=x")
