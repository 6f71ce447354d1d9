from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mlvpnd.ctl import private_socket
from mlvpnd.ctl.errors import ConfigRefused, CtlError, NotAllowed, Unreachable
from mlvpnd.ctl.private_socket import SOCKET_NAME, ask_forget, ask_reload, ask_status, names, socket_path


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A unix socket at `path`, which is removed afterwards."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(8)
        listener.settimeout(10)
        try:
            yield listener
        finally:
            path.unlink()


@contextlib.contextmanager
def served_socket(directory: Path, answers: Mapping[str, str], name: str = SOCKET_NAME) -> Iterator[str]:
    """A private socket that gives each command its answer, and ends the connection after the client has ended it."""
    directory.mkdir(exist_ok=True)

    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        listener.settimeout(0.02)
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                with connection, connection.makefile("rw") as stream:
                    for line in stream:
                        stream.write(answers[line.strip()])

    with listening(directory / name) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        try:
            yield str(directory / name)
        finally:
            ended.set()
            thread.join()


def test_status(tmp_path: Path) -> None:
    padding = "x" * 200_000
    with served_socket(tmp_path, {"status": f'{{"tunnel": "a",\n "p": "{padding}"}}\n'}) as path:
        assert ask_status(path) == {"tunnel": "a", "p": padding}


def test_reload(tmp_path: Path) -> None:
    with served_socket(tmp_path, {"reload": '{"ok": true}\n'}) as path:
        assert ask_reload(path) == []
    with served_socket(tmp_path, {"reload": '{"ok": true, "warnings": ["f:3: odd"]}\n'}) as path:
        assert ask_reload(path) == ["f:3: odd"]
    wrong = served_socket(tmp_path, {"reload": '{"error": "f:3: bad\\nf:9: worse"}\n'})
    with wrong as path, pytest.raises(ConfigRefused) as caught:
        ask_reload(path)
    assert str(caught.value) == "f:3: bad\nf:9: worse"
    denied = served_socket(tmp_path, {"reload": '{"error": "not you", "denied": true}\n'})
    with denied as path, pytest.raises(NotAllowed, match="not you"):
        ask_reload(path)


def test_forget(tmp_path: Path) -> None:
    with served_socket(tmp_path, {"forget": '{"ok": true}\n'}) as path:
        ask_forget(path)
    for answer, kind in (
        ('{"error": "not you", "denied": true}', NotAllowed),
        ('{"error": "unknown command"}', CtlError),
    ):
        with served_socket(tmp_path, {"forget": answer}) as path, pytest.raises(kind):
            ask_forget(path)


@pytest.mark.parametrize(("answer", "match"), [("", "not JSON"), ("[]", "not a JSON object"), ('{"a":', "not JSON")])
def test_answers_that_are_none(tmp_path: Path, answer: str, match: str) -> None:
    with served_socket(tmp_path, {"status": answer}) as path, pytest.raises(CtlError, match=match):
        ask_status(path)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No such file"):
        ask_status(str(tmp_path / SOCKET_NAME))


def test_somebody_who_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_socket, "STATUS_LIMIT", 0.1)
    path = tmp_path / SOCKET_NAME
    with listening(path), pytest.raises(CtlError, match="no answer within"):
        ask_status(str(path))


def test_somebody_who_goes_on_answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is for the whole answer."""
    monkeypatch.setattr(private_socket, "STATUS_LIMIT", 0.3)

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                connection.send(b" ")
                time.sleep(0.05)

    path = tmp_path / SOCKET_NAME
    with listening(path) as listener:
        thread = threading.Thread(target=drip, args=[listener])
        thread.start()
        with pytest.raises(CtlError, match="no answer within"):
            ask_status(str(path))
        thread.join()


def test_names(tmp_path: Path) -> None:
    for name in ("b", "a", "empty"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        Path(socket_path(name, str(tmp_path))).touch()
    assert names(str(tmp_path)) == ["a", "b"]
    assert names(str(tmp_path / "nothing")) == []
