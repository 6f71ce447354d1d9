from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlvpnd.cli.decode import main
from tests.support.captures import Decoding, conversation, write


def test_without_scapy_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlvpnd.capture.decoder", None)
    assert main(["capture.pcap", "--password-file", "password"]) == 1
    assert capsys.readouterr().err.endswith("on Debian: apt install python3-scapy\n")


def test_usage_and_faults_have_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.startswith("usage: mlvpn-decode [-h] --password-file FILE")
    assert main(["/none", "--password-file", "/none"]) == 1
    assert capsys.readouterr().err.startswith("mlvpn-decode: /none: ")


def test_decode_names_a_missing_file(decoding: Decoding) -> None:
    assert decoding() == 1
    assert decoding.errors == f"mlvpn-decode: {decoding.capture}: No such file or directory\n"


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"\n", "empty"), (b"\nsecret\n", "empty")])
def test_decode_refuses_an_empty_password(decoding: Decoding, content: bytes, reason: str) -> None:
    write(decoding.capture, conversation())
    decoding.write_password(content)
    assert decoding() == 1
    assert reason in decoding.errors
    assert decoding.lines == []


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_decode_refuses_a_port_that_is_none(decoding: Decoding, port: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        decoding("--port", port)
    assert exit_.value.code == 2


def test_it_survives_a_closed_pipe(decoding: Decoding, tmp_path: Path) -> None:
    write(decoding.capture, conversation() * 200)
    program = "from mlvpnd.cli.decode import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, str(decoding.capture), "--password-file", str(tmp_path / "password")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b" AUTH seq 0 " in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1
