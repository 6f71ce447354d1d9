from __future__ import annotations

import os

import pytest

from mlvpnd.bus import address as addresses


@pytest.mark.parametrize(
    ("address", "paths"),
    [
        ("unix:path=/run/bus", ["/run/bus"]),
        ("unix:path=/run/a%20b,guid=12", ["/run/a b"]),
        ("unix:abstract=/x", ["\0/x"]),
        ("tcp:host=x,port=1;unix:guid=1,path=/b;unix:path=/c", ["/b", "/c"]),
        ("unix:dir=/tmp", []),
        ("nonsense", []),
        (";,;", []),
    ],
)
def test_addresses(address: str, paths: list[str]) -> None:
    assert list(addresses.socket_paths(address)) == paths


def test_the_system_bus_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS", raising=False)
    assert addresses.system_bus_address() == "unix:path=/run/dbus/system_bus_socket"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/x")
    assert addresses.system_bus_address() == "unix:path=/x"


def test_the_kernel_is_asked_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert addresses.introduction() == b"\0AUTH EXTERNAL 31303030\r\n"
