import errno
import os
import socket
import subprocess
import sys

import pytest
import pytun

from mlvpnd.config.model import DeviceKind
from mlvpnd.helper import interface


def test_the_mtu_of_an_interface() -> None:
    assert interface.get_mtu("lo") >= 1280


def test_an_mtu_that_is_set_already_needs_no_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    mtu = interface.get_mtu("lo")
    monkeypatch.setattr(interface, "_SIOCSIFMTU", 0)  # the kernel would refuse it
    interface.set_mtu("lo", mtu)
    with pytest.raises(interface.InterfaceError, match=f"cannot set the MTU of lo to {mtu - 1}"):
        interface.set_mtu("lo", mtu - 1)


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(interface.InterfaceError, match="cannot read the MTU of mlvnix9: No such device"):
        interface.get_mtu("mlvnix9")


@pytest.mark.parametrize("name", ["a-name-of-seventeen", "lo", "a\0b"])
def test_a_name_that_the_kernel_refuses(name: str) -> None:
    with pytest.raises(interface.InterfaceError, match="cannot create tunnel device"):
        interface.open_tun(name, DeviceKind.TUN)
    assert socket.if_nametoindex("lo")


def test_descriptors_that_are_no_interface() -> None:
    with open(os.devnull) as null, pytest.raises(interface.InterfaceError, match="not a tun or tap interface"):
        interface.attached(null.fileno())
    with socket.socket() as sock, pytest.raises(interface.InterfaceError, match="not a tun or tap interface"):
        interface.attached(sock.fileno())


def test_a_descriptor_whose_interface_is_gone() -> None:
    with open("/dev/net/tun", "rb+", buffering=0) as device:
        assert interface.attached(device.fileno()) == ""


class OldTun:
    """An interface of a kernel without vnet headers."""

    name = "old0"

    def __init__(self, name: str, flags: int) -> None:
        if flags & pytun.IFF_VNET_HDR:
            raise pytun.Error(errno.EINVAL, "Invalid argument")
        assert flags == pytun.IFF_TUN | pytun.IFF_NO_PI
        self._null = open(os.devnull)

    def fileno(self) -> int:
        return self._null.fileno()

    def close(self) -> None:
        self._null.close()


def test_a_kernel_without_vnet_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytun, "TunTapDevice", OldTun)
    device = interface.open_tun("old%d", DeviceKind.TUN)
    assert device.name == "old0"
    assert not os.get_blocking(device.descriptor)
    os.close(device.descriptor)


def test_a_limit_that_can_not_be_set() -> None:
    with pytest.raises(interface.InterfaceError, match="cannot set gso_max_size of mlvnix9: no interface"):
        interface.limit_gso("mlvnix9", 59000)
    with pytest.raises(interface.InterfaceError, match="cannot set gso_max_size of lo: "):
        interface.limit_gso("lo", (1 << 32) - 1)


# In a network namespace of its own.
OFFLOADS = """
import json, subprocess
from mlvpnd.config.model import DeviceKind
from mlvpnd.helper import interface
from mlvpnd.net.interface import kind_of
for kind in DeviceKind:
    device = interface.open_tun("mlv%d", kind)
    interface.limit_gso(device.name, 59736)
    (shown,) = json.loads(subprocess.check_output(["ip", "-j", "-d", "link", "show", "dev", device.name]))
    print(kind_of(device.descriptor), shown["gso_max_size"])
"""


@pytest.mark.netns
def test_interfaces_have_a_vnet_header_and_a_limit() -> None:
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", OFFLOADS], capture_output=True, text=True, timeout=20
    )
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        "Kind(name='mlv0', tap=False, vnet_header=True) 59736",
        "Kind(name='mlv1', tap=True, vnet_header=True) 59736",
    ]


# In namespaces of its own: a descriptor tells its interface's name, until the interface moves to another namespace.
NAMESPACES = """
import os, socket, subprocess, sys
from mlvpnd.config.model import DeviceKind
from mlvpnd.helper import interface
here = interface.open_tun("here%d", DeviceKind.TUN)
print(interface.attached(here.descriptor))
subprocess.run(["ip", "link", "set", "here0", "name", "renamed"], check=True)
print(interface.attached(here.descriptor))
other = subprocess.Popen(["unshare", "--net", "sleep", "20"])
while os.readlink(f"/proc/{other.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
    pass
subprocess.run(["ip", "link", "set", "renamed", "netns", str(other.pid)], check=True)
try:
    interface.attached(here.descriptor)
except interface.InterfaceError as error:
    print(error)
other.kill()
other.wait()
"""


@pytest.mark.netns
def test_the_name_is_the_interfaces_own() -> None:
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", NAMESPACES], capture_output=True, text=True, timeout=20
    )
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["here0", "renamed", "an interface of another network namespace"]
