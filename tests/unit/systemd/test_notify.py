"""The words for notify, and what it hands over."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from pathlib import Path

import pytest

from mlvpnd.systemd import notify
from mlvpnd.systemd.notify import Notifier, link_name
from tests.unit.helper.descriptors import open_descriptors


@pytest.fixture
def said() -> list[tuple[str, tuple[int, ...]]]:
    return []


@pytest.fixture
def notifier(said: list[tuple[str, tuple[int, ...]]]) -> Notifier:
    return Notifier(lambda text, descriptors: said.append((text, descriptors)))


def test_words(notifier: Notifier, said: list[tuple[str, tuple[int, ...]]]) -> None:
    notifier.ready("!adsl1")
    notifier.status("@adsl1")
    notifier.status("@adsl1")
    notifier.store("link.adsl1", 7)
    notifier.forget("link.adsl1")
    notifier.stopping()
    assert said == [
        ("READY=1\nSTATUS=!adsl1", ()),
        ("STATUS=@adsl1", ()),
        ("FDSTORE=1\nFDNAME=link.adsl1\nFDPOLL=0", (7,)),
        ("FDSTOREREMOVE=1\nFDNAME=link.adsl1", ()),
        ("STOPPING=1", ()),
    ]


def test_reloading_tells_when_in_the_same_message(notifier: Notifier, said: list[tuple[str, tuple[int, ...]]]) -> None:
    notifier.reloading()
    ((text, _),) = said
    assert text.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert int(text.rpartition("=")[2]) > 0


def test_without_systemd_nothing_is_said() -> None:
    notifier = Notifier(None)
    assert not notifier.active
    notifier.ready("")
    notifier.store("tun", 1)


def test_the_watchdog_is_fed_by_the_loop(
    notifier: Notifier, said: list[tuple[str, tuple[int, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))

    async def run() -> None:
        notifier.start_watchdog()
        await asyncio.sleep(0.2)

    asyncio.run(run())
    assert {text for text, _ in said} == {"WATCHDOG=1"}
    assert len(said) >= 4


@pytest.mark.parametrize(("usec", "pid"), [("", ""), ("0", ""), ("x", ""), ("40000", "1")])
def test_no_watchdog_for_us(
    notifier: Notifier,
    said: list[tuple[str, tuple[int, ...]]],
    monkeypatch: pytest.MonkeyPatch,
    usec: str,
    pid: str,
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)

    async def run() -> None:
        notifier.start_watchdog()

    asyncio.run(run())
    assert said == []


def test_a_descriptor_reaches_the_manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, open(tmp_path / "kept", "w") as kept:
        manager.bind(path)
        Notifier(notify.send).store("tun", kept.fileno())
        text, descriptors, _, _ = socket.recv_fds(manager, 4096, 4)
        assert text == b"FDSTORE=1\nFDNAME=tun\nFDPOLL=0"
        assert os.fstat(descriptors[0]).st_ino == os.fstat(kept.fileno()).st_ino
        for descriptor in descriptors:
            os.close(descriptor)


class Manager:
    """A manager that takes nothing for a while."""

    def __init__(self) -> None:
        self.error: OSError | None = BlockingIOError()
        self.taken: list[str] = []
        self.kept: list[os.stat_result] = []

    def send(self, text: str, descriptors: tuple[int, ...]) -> None:
        if self.error is not None:
            raise self.error
        self.taken.append(text)
        self.kept += [os.fstat(descriptor) for descriptor in descriptors]


def test_what_the_manager_does_not_take_now_it_gets_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets them in order, the newest of each kind, with descriptors that are closed by then."""
    monkeypatch.setattr(notify, "RETRY", 0.01)
    manager = Manager()
    notifier = Notifier(manager.send)

    async def run() -> None:
        tun = os.open(tmp_path, os.O_RDONLY)
        notifier.store("tun", tun)
        os.close(tun)
        inode = os.stat(tmp_path).st_ino
        for number in range(100):
            notifier.status(f"!adsl1 {number}")
        notifier.ready("!adsl1")
        await asyncio.sleep(0.03)
        assert manager.taken == []
        manager.error = None
        notifier.stopping()
        assert manager.taken == []
        await asyncio.sleep(0.03)
        assert [found.st_ino for found in manager.kept] == [inode]

    before = open_descriptors()
    asyncio.run(run())
    assert manager.taken == [
        "FDSTORE=1\nFDNAME=tun\nFDPOLL=0",
        "STATUS=!adsl1 99",
        "READY=1\nSTATUS=!adsl1",
        "STOPPING=1",
    ]
    assert open_descriptors() == before


def test_a_descriptor_that_is_forgotten_before_it_was_taken_is_closed() -> None:
    """A socket that waited for the manager would keep its port."""
    manager = Manager()
    notifier = Notifier(manager.send)

    async def run() -> None:
        before = open_descriptors()
        notifier.store("link.adsl1", 0)
        notifier.store("link.adsl1", 0)
        assert open_descriptors() != before
        notifier.forget("link.adsl1")
        assert open_descriptors() == before

    asyncio.run(run())


def test_a_manager_that_is_gone_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    caplog.set_level(logging.DEBUG, "mlvpnd")
    manager = Manager()
    manager.error = FileNotFoundError(2, "No such file or directory")
    notifier = Notifier(manager.send)
    notifier.ready("a")
    notifier.status("b")
    assert caplog.messages == ["the service manager cannot be reached: No such file or directory"]
    manager.error = None
    notifier.status("c")
    assert manager.taken == ["STATUS=c"]


def test_a_full_queue_does_not_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        with pytest.raises(FileNotFoundError):
            notify.send("WATCHDOG=1")
        manager.bind(path)
        with pytest.raises(BlockingIOError):  # noqa: PT012  (how long the queue is, is the host's)
            for _ in range(100_000):
                notify.send("WATCHDOG=1")
        assert manager.recv(100) == b"WATCHDOG=1"


def test_a_socket_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"mlvpnd-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        notify.send("READY=1")
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    ("link", "name"),
    [("adsl1", "link.adsl1"), ("my line", "link.my line"), ("a:b", None), ("é", None), ("x" * 300, None)],
)
def test_names_in_the_store(link: str, name: str | None) -> None:
    assert link_name(link) == name
