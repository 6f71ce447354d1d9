"""The example files are right, and fit each other."""

from __future__ import annotations

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
