import socket

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
