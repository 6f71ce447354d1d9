"""What can be seen without root, and the refusal of imports; tests/netns/test_byhand.py looks at a real daemon."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from mlvpnd.daemon import sandbox
from mlvpnd.daemon.sandbox import SandboxError


def _run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)


REFUSE = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(message)s")
from mlvpnd.daemon import sandbox
sandbox.preload()
sandbox.refuse_imports()
"""


def test_an_import_is_refused_loudly() -> None:
    result = _run(REFUSE + "try:\n    import wave\nexcept ImportError as error:\n    print(error)\n")
    assert result.stdout == "wave is not loaded and the process is in its sandbox\n"
    assert result.stderr == "CRITICAL import of wave refused: it must be loaded before the sandbox is entered\n"


def test_what_is_loaded_can_be_imported() -> None:
    result = _run(REFUSE + "import logging.nix\n")
    assert "import of logging.nix refused" in result.stderr
    result = _run(
        "import mlvpnd.logs.log\n"
        + REFUSE
        + "import os, logging.handlers\nfrom mlvpnd.logs import log\nprint('fine')\n"
    )
    assert (result.stdout, result.stderr) == ("fine\n", "")


def test_what_happens_late_needs_no_import() -> None:
    result = _run(
        "import asyncio, socket, time, logging\n" + REFUSE + "\n"
        "for call in (lambda: 'ä.example'.encode('idna'), lambda: socket.getaddrinfo('127.0.0.1', 1),\n"
        "             lambda: time.strftime('%b'), lambda: 'x'.encode('ascii').decode('latin-1'),\n"
        "             lambda: asyncio.run(asyncio.to_thread(int))):\n"
        "    call()\n"
        "try:\n"
        "    {}['a']['b'] + (lambda: 0)()\n"
        "except KeyError:\n"
        "    logging.exception('caught')\n"
        "try:\n"
        "    asyncio.slep\n"
        "except AttributeError:\n"
        "    logging.exception('caught')\n"
    )
    assert result.returncode == 0
    assert result.stderr.startswith("ERROR caught\nTraceback")
    assert "refused" not in result.stderr


def test_a_log_that_imports_does_not_recurse() -> None:
    program = REFUSE + (
        "class Importing(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        print(record.getMessage())\n"
        "        import wave\n"
        "logging.getLogger().handlers[:] = [Importing()]\n"
        "try:\n    import chunk\nexcept ImportError:\n    print('refused')\n"
    )
    result = _run(program)
    assert result.stdout == "import of chunk refused: it must be loaded before the sandbox is entered\nrefused\n"


def test_the_user_must_exist_and_not_be_root() -> None:
    with pytest.raises(SandboxError, match="unknown user nosuchuser"):
        sandbox.find_user("nosuchuser")
    with pytest.raises(SandboxError, match="user root is root"):
        sandbox.find_user("root")
    assert sandbox.find_user("nobody").pw_uid == pwd.getpwnam("nobody").pw_uid


def test_the_root_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    monkeypatch.setattr(sandbox, "EMPTY_DIRECTORY", str(empty))
    assert sandbox._root_directory(str(tmp_path)) == str(tmp_path)
    if os.geteuid() != 0:
        return
    for home in ("/nonexistent", "/", "//", "/etc/.."):
        assert sandbox._root_directory(home) == str(empty)
    assert empty.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes the directory")
@pytest.mark.parametrize("fault", ["owner", "mode", "content", "link"])
def test_an_empty_directory_that_is_not_safe(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    monkeypatch.setattr(sandbox, "EMPTY_DIRECTORY", str(empty))
    if fault == "link":
        empty.symlink_to("/")
    else:
        empty.mkdir()
    if fault == "owner":
        os.chown(empty, 65534, 65534)
    if fault == "mode":
        empty.chmod(0o777)
    if fault == "content":
        (empty / "file").touch()
    with pytest.raises(SandboxError, match="must be an empty directory of root"):
        sandbox._root_directory("/nonexistent")


ENTER = """
import os, sys
from mlvpnd.daemon import sandbox
{before}
sandbox.enter("nobody")
import ctypes
print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0), os.getuid())
"""


def test_without_root_the_user_stays() -> None:
    result = _run(ENTER.format(before="os.getuid() or (os.setgroups([]), os.setgid(12345), os.setuid(12345))"))
    expected = 12345 if os.geteuid() == 0 else os.getuid()
    assert (result.stdout, result.stderr) == (f"1 {expected}\n", "")
