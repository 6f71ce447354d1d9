"""The words for systemd, and what it hands over."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from mlvpnd import systemd
from mlvpnd.systemd import Notifier, link_name


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
        Notifier(systemd.send).store("tun", kept.fileno())
        text, descriptors, _, _ = socket.recv_fds(manager, 4096, 4)
        assert text == b"FDSTORE=1\nFDNAME=tun\nFDPOLL=0"
        assert os.fstat(descriptors[0]).st_ino == os.fstat(kept.fileno()).st_ino
        for descriptor in descriptors:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("link", "name"),
    [("adsl1", "link.adsl1"), ("my line", "link.my line"), ("a:b", None), ("é", None), ("x" * 300, None)],
)
def test_names_in_the_store(link: str, name: str | None) -> None:
    assert link_name(link) == name
