"""The example files are right, and fit each other."""

from __future__ import annotations

import configparser
import fnmatch
import subprocess
from pathlib import Path

import pytest

from mlvpnd.config.model import Config, Mode
from mlvpnd.config.parser import parse

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str) -> Config:
    return parse((EXAMPLES / name).read_bytes(), name, strict=True).config


@pytest.mark.parametrize("scenario", ["", "two-adsl/", "adsl-sdsl-voip/"])
def test_client_and_server_fit(scenario: str) -> None:
    client, server = example(f"{scenario}client.conf"), example(f"{scenario}server.conf")
    assert client.mode is Mode.CLIENT
    assert server.mode is Mode.SERVER
    assert client.password == server.password
    assert client.cleartext_data == server.cleartext_data
    assert [link.name for link in client.links] == [link.name for link in server.links]
    for near, far in zip(client.links, server.links, strict=True):
        assert (near.remotehost, near.remoteport) == (far.bindhost, far.bindport)


@pytest.mark.parametrize("name", ["client.conf", "server.conf"])
def test_the_weights_are_those_of_the_lines_in_the_demo(name: str) -> None:
    assert [link.bandwidth_upload * 8 for link in example(name).links] == [20_000_000, 10_000_000]


def test_the_status_command_is_a_shell_script() -> None:
    subprocess.run(["sh", "-n", str(EXAMPLES / "mlvpn_updown.sh")], check=True)


def settings(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string((EXAMPLES / "network" / name).read_text())
    return parser


def test_other_programs_are_told_of_the_interfaces_of_the_examples() -> None:
    """tests/system/test_routes.py has a systemd-networkd that reads them."""
    networkd = settings("systemd-networkd/05-mlvpn.network")
    manager = settings("NetworkManager/mlvpn.conf")["keyfile"]["unmanaged-devices"]
    assert networkd["Link"]["Unmanaged"] == "yes"
    for scenario in ("", "two-adsl/", "adsl-sdsl-voip/"):
        for end in ("client", "server"):
            name = example(f"{scenario}{end}.conf").interface_name
            assert fnmatch.fnmatch(name, networkd["Match"]["Name"])
            assert fnmatch.fnmatch(name, manager.removeprefix("interface-name:"))
