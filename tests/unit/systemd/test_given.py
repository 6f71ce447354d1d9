"""What systemd hands over, and the helper behind its sockets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlvpnd.errors import MlvpndError
from mlvpnd.systemd import notify
from mlvpnd.systemd.given import Service, credential, gather, options
from mlvpnd.systemd.notify import Notifier


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def service(said: list[str]) -> Service:
    return Service("test", Notifier(lambda text, _descriptors: said.append(text)))


def descriptor() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_each_descriptor_is_taken_once(service: Service) -> None:
    service.descriptors = {"tun": [5], "link": [6, 7]}
    assert service.take("tun") == 5
    assert service.take("tun") is None
    assert service.take("nix") is None
    assert service.take_all("link") == [6, 7]
    assert service.take_all("link") == []
    service.close_rest()


def test_the_rest_is_closed_and_given_up(service: Service, said: list[str]) -> None:
    given = {name: descriptor() for name in ("link", "control", "link.adsl1", "tun", "session")}
    service.descriptors = {name: [number] for name, number in given.items()}
    taken = service.take("session")
    service.close_rest(but="control")
    assert {name for name, number in given.items() if is_open(number)} == {"control", "session"}
    assert said == ["FDSTOREREMOVE=1\nFDNAME=link.adsl1", "FDSTOREREMOVE=1\nFDNAME=tun"]
    assert service.take("control") == given["control"]
    service.close_rest()
    assert len(said) == 2
    assert taken is not None
    os.close(taken)
    os.close(given["control"])


def test_a_control_socket_without_use_is_closed_but_the_units(service: Service, said: list[str]) -> None:
    number = descriptor()
    service.descriptors = {"control": [number]}
    service.close_rest()
    assert not is_open(number)
    assert said == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"secret", b"secret"), (b"secret\n", b"secret"), (b" s \n\n", b" s \n"), (b"\xff\0", b"\xff\0"), (b"\n", None)],
)
def test_the_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, expected: bytes | None) -> None:
    (tmp_path / "mlvpn.test.password").write_bytes(text)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credential("test") == expected
    assert credential("other") is None


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert credential("test") is None


def test_what_is_handed_over_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [descriptor() for _ in range(3)]
    for number in numbers:
        os.set_inheritable(number, True)
    names = dict(zip(numbers, ("tun", "link", "link"), strict=True))
    monkeypatch.setattr(notify, "inherited", lambda: names)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/mlvpn/test:/var/lib/other")
    (tmp_path / "mlvpn.test.password").write_text("secret")
    found = gather("test")
    assert found.instance == "test"
    assert found.descriptors == {"tun": numbers[:1], "link": numbers[1:]}
    assert found.password == b"secret"
    assert found.state_directory == "/var/lib/mlvpn/test"
    assert not found.notifier.active
    for number in numbers:
        assert not os.get_inheritable(number)
        os.close(number)
    names.clear()
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    assert gather("test").notifier.active


def test_an_instance_stands_for_the_command_line() -> None:
    found = options("my-tunnel")
    assert (found.config_path, found.name) == ("/etc/mlvpn/my-tunnel.conf", "my-tunnel")
    with pytest.raises(MlvpndError, match="is not the name of a tunnel"):
        options("../x")
