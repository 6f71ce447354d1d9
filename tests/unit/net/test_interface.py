"""What descriptors say of their interfaces, and which names a pattern makes."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys

import pytest

from mlvpnd.net import interface
from mlvpnd.net.interface import interface_of, matches, mtu_of

# In a namespace of its own: a TUN, a TAP, another name, another MTU, and no interface any more.
INTERFACES = """
import os, subprocess, pytun
from mlvpnd.net.interface import interface_of, is_persistent, mtu_of
tun = pytun.TunTapDevice(name="tun%d", flags=pytun.IFF_TUN | pytun.IFF_NO_PI)
tap = pytun.TunTapDevice(name="mlvpnt0", flags=pytun.IFF_TAP | pytun.IFF_NO_PI)
print(interface_of(tun.fileno()), interface_of(tap.fileno()))
subprocess.run(["ip", "link", "set", "tun0", "name", "renamed", "mtu", "1234"], check=True)
print(interface_of(tun.fileno()), mtu_of("renamed"), is_persistent(tun.fileno()))
tun.persist(True)
print(is_persistent(tun.fileno()))
subprocess.run(["ip", "link", "delete", "renamed"], check=True)
try:
    interface_of(tun.fileno())
except OSError as error:
    print(error.strerror, is_persistent(tun.fileno()))
"""

# An interface with two more names, and sockets that are bound to it by each name.
NAMES = """
import socket, subprocess
from mlvpnd.net.interface import bound_index, index_of
subprocess.run(["ip", "tuntap", "add", "eth0", "mode", "tun"], check=True)
for name in ("enp1s0", "wan"):
    subprocess.run(["ip", "link", "property", "add", "dev", "eth0", "altname", name], check=True)
print(index_of("eth0") == index_of("enp1s0") == index_of("wan") > 0, index_of("none"))
for name in ("eth0", "enp1s0", "wan", ""):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if name:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode() + b"\\0")
        print(bound_index(sock) == index_of("eth0"), sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16))
"""


def in_a_namespace(program: str) -> list[str]:
    """The lines that a program prints in a network namespace of its own."""
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", program], capture_output=True, text=True, timeout=20
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


@pytest.mark.netns
def test_alternative_names() -> None:
    assert in_a_namespace(NAMES) == [
        "True 0",
        *[r"True b'eth0\x00'"] * 3,
        "False b''",
    ]


@pytest.mark.netns
def test_the_interface_behind_a_descriptor() -> None:
    assert in_a_namespace(INTERFACES) == [
        "('tun0', False) ('mlvpnt0', True)",
        "('renamed', False) 1234 False",
        "True",
        "File descriptor in bad state False",
    ]


def test_what_is_no_interface() -> None:
    read, write = os.pipe()
    try:
        with pytest.raises(OSError, match="Inappropriate ioctl"):
            interface_of(read)
    finally:
        os.close(read)
        os.close(write)
    with socket.socket() as sock, pytest.raises(OSError, match=r"\[Errno"):
        interface_of(sock.fileno())


def test_the_mtu_of_an_interface() -> None:
    assert mtu_of("lo") >= 1280
    with pytest.raises(OSError, match="No such device") as raised:
        mtu_of("mlvnix9")
    assert raised.value.errno == errno.ENODEV


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("mlvpn0", "mlvpn0", True),
        ("mlvpn0", "mlvpn1", False),
        ("mlvpn0", "", False),
        ("tun%d", "tun0", True),
        ("tun%d", "tun12", True),
        ("tun%d", "tun", False),
        ("tun%d", "tunx", False),
        ("tun%d", "tap0", False),
        ("a%da", "a5a", True),
        ("a%da", "a", False),
        ("a%da", "aa", False),
    ],
)
def test_names_that_a_pattern_makes(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("bindhost", "binddevice", "expected"),
    [
        ("", "", ("", "")),
        ("192.0.2.1", "eth1", ("192.0.2.1", "eth1")),
        ("lo", "", ("", "lo")),
        ("lo", "eth1", ("", "eth1")),
        ("localhost", "", ("localhost", "")),
        ("mlvnix9", "", ("mlvnix9", "")),
    ],
)
def test_a_host_that_is_an_interface(bindhost: str, binddevice: str, expected: tuple[str, str]) -> None:
    assert interface.local_end(bindhost, binddevice) == expected


def test_an_address_is_never_an_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interface, "index_of", lambda _name: 7)
    for text in ("10", "192.0.2.1", "::1", "0x7f000001"):
        assert interface.local_end(text, "") == (text, "")
