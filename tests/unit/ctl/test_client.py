"""The rest of the client is tested against real services, in tests/bus/test_mlvpnctl.py."""

from __future__ import annotations

import pytest

from mlvpnd.bus.errors import BusError
from mlvpnd.ctl.client import translated
from mlvpnd.ctl.errors import ConfigRefused, CtlError, NotAllowed, NotFound, TunnelGone


@pytest.mark.parametrize(
    ("name", "kind", "exit_code"),
    [
        ("org.freedesktop.DBus.Error.ServiceUnknown", TunnelGone, 3),
        ("org.freedesktop.DBus.Error.NameHasNoOwner", TunnelGone, 3),
        ("org.freedesktop.DBus.Error.AccessDenied", NotAllowed, 5),
        ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", NotAllowed, 5),
        ("org.freedesktop.DBus.Error.UnknownObject", NotFound, 4),
        ("org.mlvpn1.Error.NoSuchLink", NotFound, 4),
        ("org.mlvpn1.Error.ConfigInvalid", ConfigRefused, 1),
        ("org.mlvpn1.Error.ConfigUnreadable", ConfigRefused, 1),
        ("org.mlvpn1.Error.Internal", CtlError, 1),
    ],
)
def test_errors_by_their_meaning(name: str, kind: type[CtlError], exit_code: int) -> None:
    error = translated(BusError(name, "why"))
    assert (type(error), str(error), error.exit_code) == (kind, "why", exit_code)


def test_an_error_without_a_text() -> None:
    assert str(translated(BusError("org.example.Odd", ""))) == "org.example.Odd"
