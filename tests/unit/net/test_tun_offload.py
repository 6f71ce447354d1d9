"""What is agreed on with the kernel about an interface's packets."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys

import pytest

from mlvpnd.net import tun_offload
from mlvpnd.net.interface import Kind
from mlvpnd.net.tun_offload import Offloads, negotiate

SET_OFFLOAD, SET_HEADER_SIZE = 0x400454D0, 0x400454D8
ALL, WITHOUT_USO = 0x67, 0x07


class FakeKernel:
    """Remembers what an interface is asked for, and takes some of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: Kind, takes: int) -> None:
        self.asked: list[int] = []
        self.header_size = 12  # left by a virtual machine
        self._takes = takes
        monkeypatch.setattr(tun_offload, "kind_of", lambda _descriptor: kind)
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)

    def ioctl(self, _descriptor: int, request: int, argument: int | bytes) -> int:
        if request == SET_HEADER_SIZE:
            assert isinstance(argument, bytes)
            self.header_size = int.from_bytes(argument, sys.byteorder)
            return 0
        assert request == SET_OFFLOAD
        assert isinstance(argument, int)
        self.asked.append(argument)
        if argument & ~self._takes:
            raise OSError(22, os.strerror(22))
        return 0


@pytest.mark.parametrize(
    ("takes", "asked", "tso", "uso"),
    [
        (ALL, [ALL], True, True),
        (WITHOUT_USO, [ALL, WITHOUT_USO], True, False),
        (0x01, [ALL, WITHOUT_USO, 0], False, False),
    ],
)
def test_what_the_kernel_has_not_is_left_out(
    monkeypatch: pytest.MonkeyPatch, takes: int, asked: list[int], tso: bool, uso: bool
) -> None:
    kernel = FakeKernel(monkeypatch, Kind("tun0", tap=False, vnet_header=True), takes)
    assert negotiate(9) == Offloads(vnet_header=True, tso=tso, uso=uso)
    assert kernel.asked == asked
    assert kernel.header_size == 10


def test_without_a_vnet_header_nothing_is_left_to_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interface may have offloads that somebody else has set, and we could not tell its packets apart."""
    kernel = FakeKernel(monkeypatch, Kind("tap0", tap=True, vnet_header=False), ALL)
    assert negotiate(9) == Offloads(layer2=True)
    assert kernel.asked == [0]


def test_what_is_no_interface_has_nothing() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        assert negotiate(ours.fileno()) == Offloads()


# In a network namespace of its own, without a capability from the second line on.
REAL = """
import os, subprocess
from mlvpnd.config.model import DeviceKind
from mlvpnd.helper import interface
from mlvpnd.net import tun_offload
devices = [interface.open_tun("mlv%d", kind) for kind in DeviceKind]
def features(device):
    shown = subprocess.run(["ethtool", "-k", device.name], capture_output=True, text=True).stdout
    return [line.split(": ")[1] for line in shown.splitlines() if "tx-tcp-segmentation:" in line or "tx-tcp6" in line]
os.setresuid(65534, 65534, 65534)
for device in devices:
    offloads = tun_offload.negotiate(device.descriptor)
    print(offloads.vnet_header, offloads.layer2, offloads.tso, *features(device))
    tun_offload.withdraw(device.descriptor)
    print(*features(device))
"""


@pytest.mark.netns
def test_a_daemon_without_privilege_sets_them() -> None:
    ran = subprocess.run(["unshare", "--net", sys.executable, "-c", REAL], capture_output=True, text=True, timeout=20)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["True False True on on", "off off", "True True True on on", "off off"]
