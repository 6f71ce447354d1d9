from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from mlvpnd.ctl import private_socket
from mlvpnd.ctl.errors import ConfigRefused, CtlError, NotAllowed, Unreachable
from mlvpnd.ctl.private_socket import SOCKET_NAME, ask_reload, ask_status, names, socket_path


@contextlib.asynccontextmanager
async def served_socket(directory: Path, answers: Mapping[str, str]) -> AsyncIterator[Path]:
    """A private socket that answers each command so, and ends the connection after the client has."""
    directory.mkdir(exist_ok=True)
    path = directory / SOCKET_NAME

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(answers[line.decode().strip()].encode())
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield path
    path.unlink(missing_ok=True)


def answered(tmp_path: Path, command: str, answer: str) -> object:
    async def scenario() -> object:
        async with served_socket(tmp_path, {command: answer}) as path:
            return await (ask_status(path) if command == "status" else ask_reload(path))

    return asyncio.run(scenario())


def test_status(tmp_path: Path) -> None:
    padding = "x" * 200_000
    assert answered(tmp_path, "status", f'{{"tunnel": "a",\n "p": "{padding}"}}\n') == {"tunnel": "a", "p": padding}


def test_reload(tmp_path: Path) -> None:
    assert answered(tmp_path, "reload", '{"ok": true}\n') is None
    with pytest.raises(ConfigRefused) as caught:
        answered(tmp_path, "reload", '{"error": "f:3: bad\\nf:9: worse"}\n')
    assert str(caught.value) == "f:3: bad\nf:9: worse"
    with pytest.raises(NotAllowed, match="not you"):
        answered(tmp_path, "reload", '{"error": "not you", "denied": true}\n')


@pytest.mark.parametrize(("answer", "match"), [("", "no JSON"), ("[]", "no JSON object"), ('{"a":', "no JSON")])
def test_answers_that_are_none(tmp_path: Path, answer: str, match: str) -> None:
    with pytest.raises(CtlError, match=match):
        answered(tmp_path, "status", answer)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No such file"):
        asyncio.run(ask_status(tmp_path / SOCKET_NAME))


def test_somebody_who_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_socket, "STATUS_LIMIT", 0.1)

    async def scenario() -> None:
        path = tmp_path / SOCKET_NAME
        done = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await done.wait()
            writer.close()

        async with await asyncio.start_unix_server(wait, path):
            with pytest.raises(CtlError, match="no answer within"):
                await ask_status(path)
            done.set()

    asyncio.run(scenario())


def test_names(tmp_path: Path) -> None:
    for name in ("b", "a", "empty"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        socket_path(name, tmp_path).touch()
    assert names(tmp_path) == ["a", "b"]
    assert names(tmp_path / "nothing") == []
