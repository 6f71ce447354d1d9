from __future__ import annotations

import sys

import pytest

from mlvpnd.cli.decode import main


def test_without_scapy_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr("mlvpnd.scapy_layer", raising=False)
    monkeypatch.setitem(sys.modules, "mlvpnd.scapy_layer", None)
    assert main(["capture.pcap"]) == 1
    assert capsys.readouterr().err.endswith("on Debian: apt install python3-scapy\n")


def test_usage_and_faults_have_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.startswith("usage: mlvpn-decode [-h] --password-file FILE")
    assert main(["/none", "--password-file", "/none"]) == 1
    assert capsys.readouterr().err.startswith("mlvpn-decode: /none: ")
