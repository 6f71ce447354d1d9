import os
import socket
import subprocess
import sys

import pytest

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


# In namespaces of its own: a descriptor of an interface with its name, and one whose interface has moved to another.
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
