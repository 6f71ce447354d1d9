"""The files that the package installs for the bus and for polkit, read by the bus and by polkit."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from mlvpnd.bus import authorize
from tests.support.fake_operator import FakeOperator
from tests.support.private_bus import PrivateBus

from .served import DESTINATION, caller, owned, running

DBUS = Path(__file__).resolve().parents[2] / "dbus"
NOBODY = 65534
SYSTEM_POLICY = """<policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <include>{file}</include>"""
"""The rules of Debian's system.conf, and ours."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_the_bus_policy(tmp_path: Path) -> None:
    """Only the daemon's user, here root, may own the names. Others may call, queued instances too."""
    tmp_path.chmod(0o755)
    file = tmp_path / "org.mlvpn1.conf"
    file.write_text((DBUS / "org.mlvpn1.conf").read_text().replace('user="mlvpn"', 'user="root"'))
    bus = PrivateBus(SYSTEM_POLICY.format(file=file))
    bus.start()
    strangers = PROGRAM.format(address=bus.address)

    async def scenario() -> None:
        async with running(bus, FakeOperator("wifi")), caller(bus) as one:
            await owned(one)
            async with running(bus, FakeOperator("wifi"), "other"):
                await owned(one, "org.mlvpn1.Tunnel.other")
                process = await asyncio.create_subprocess_exec("sh", "-c", strangers, user=NOBODY)
                assert await process.wait() == 0

    try:
        asyncio.run(scenario())
    finally:
        bus.close()


PROGRAM = """set -e
call() {{ busctl --address={address} --timeout=8 "$@"; }}
own() {{ call call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su "$1" 0; }}
call get-property org.mlvpn1.Tunnel.mlvpn0 /org/mlvpn1/tunnel/mlvpn0 org.mlvpn1.Tunnel Name
call get-property org.mlvpn1.Tunnel.other /org/mlvpn1/tunnel/other org.mlvpn1.Tunnel Name
call tree org.mlvpn1
if own org.mlvpn1.Tunnel.mine 2>/dev/null; then exit 3; fi
if own org.mlvpn1 2>/dev/null; then exit 4; fi
if own org.mlvpn12 2>/dev/null; then exit 5; fi
"""


def test_without_the_policy_the_daemon_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("mlvpnd").propagate = True
    bus = PrivateBus(SYSTEM_POLICY.format(file=_empty_policy(tmp_path)))
    bus.start()

    async def scenario() -> None:
        async with running(bus, FakeOperator("wifi")):
            async with asyncio.timeout(10):
                while not caplog.messages:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    try:
        asyncio.run(scenario())
    finally:
        bus.close()
    assert caplog.messages[0].startswith(f"no service on the bus: {DESTINATION}: Connection")


def _empty_policy(folder: Path) -> Path:
    file = folder / "empty.conf"
    file.write_text("<busconfig/>")
    return file


def test_the_files_are_well_formed() -> None:
    files = [*DBUS.glob("*.xml"), *DBUS.glob("*.conf"), *DBUS.glob("*.policy")]
    assert len(files) >= 6
    subprocess.run(["xmllint", "--noout", "--nonet", *files], check=True)


def test_polkit_lets_the_daemon_ask_for_each_action() -> None:
    found = {}
    for action in ET.parse(DBUS / "org.mlvpn1.policy").iter("action"):  # noqa: S314
        annotations = {one.attrib["key"]: one.text for one in action.iter("annotate")}
        found[action.attrib["id"]] = annotations
        for default in ("allow_any", "allow_inactive", "allow_active"):
            assert (action.findtext(f"defaults/{default}") or "").startswith("auth_admin")
        assert "$(instance)" in (action.findtext("message") or "")
    # Without the owner, polkit answers only root, and takes no details.
    owner = {"org.freedesktop.policykit.owner": "unix-user:mlvpn"}
    assert found == {
        authorize.RELOAD: owner,
        authorize.MANAGE_LINK: owner,
        authorize.SET_LOG_LEVEL: owner,
    }
