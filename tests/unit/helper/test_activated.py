"""The helper under systemd: who may ask for what, and when it ends. tests/system has it behind the real units."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from mlvpnd.helper import activated, requests
from mlvpnd.helper.activated import Caller, Service
from mlvpnd.helper.client import HelperClient, HelperError
from mlvpnd.helper.operations import Operations
from mlvpnd.systemd import notify
from tests.support.lab import wait_until

from .descriptors import open_descriptors

UNIT = "mlvpn@home.service"


class Harness:
    """A service in this process, asked from a thread as if it were another process."""

    def __init__(self, directory: Path, config_path: Path) -> None:
        self.path = directory / "socket"
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listening.bind(str(self.path))
        self.listening.listen(16)
        self.config_path = config_path
        self.links_path = directory / "links"
        self.groups = [f"/system.slice/{UNIT}"]
        self.caller = Caller(os.geteuid(), UNIT)
        self.said: list[str] = []

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(str(self.path))
        return sock

    def ask(self, request: bytes, descriptor: int | None = None) -> bytes:
        """The answer; empty if the connection was closed without one."""
        with self.connect() as sock:
            sock.settimeout(10)
            socket.send_fds(sock, [request], [] if descriptor is None else [descriptor])
            data, received, _flags, _address = socket.recv_fds(sock, 65536, 4)
            for one in received:
                os.close(one)
            return data

    def client(self) -> HelperClient:
        return HelperClient(self.connect)

    def serve(
        self,
        steps: Callable[[], object] | None = None,
        *,
        role: str = "helper",
        idle_time: float = 0.2,
        until: Callable[[Service], Awaitable[None]] | None = None,
    ) -> float:
        """Runs the service until it ends by itself, with `steps` in a thread; returns the seconds that it took."""
        failures: list[BaseException] = []

        def run_steps() -> None:
            try:
                assert steps is not None
                steps()
            except BaseException as error:
                failures.append(error)

        async def run() -> None:
            links = str(self.links_path) if role == "script" else ""
            operations = Operations(
                str(self.config_path), os.geteuid(), os.getegid(), follow_symlinks=False, up_links_path=links
            )
            one = Service(self.listening, operations, activated.ROLES[role], self.caller, idle_time=idle_time)
            thread = threading.Thread(target=run_steps)
            if steps is not None:
                thread.start()
            running = asyncio.create_task(one.run())
            if until is not None:
                await until(one)
            await running
            if steps is not None:
                await asyncio.to_thread(thread.join)

        start = time.monotonic()
        asyncio.run(asyncio.wait_for(run(), 20))
        if failures:
            raise failures[0]
        return time.monotonic() - start


@pytest.fixture
def harness(tmp_path: Path, config_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    harness = Harness(tmp_path, config_path)
    monkeypatch.setattr(activated, "control_groups", lambda _pid: harness.groups)
    monkeypatch.setattr(activated, "own_groups", lambda: ["/system.slice/mlvpn-helper@home.service"])
    monkeypatch.setattr(activated, "has_company", lambda: False)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setattr(notify, "send", lambda text, _descriptors: harness.said.append(text))
    with harness.listening:
        yield harness


REFUSED = b'{"error": "refused"}'


def test_requests_are_served(harness: Harness) -> None:
    def steps() -> None:
        assert json.loads(harness.ask(b'{"op": "open-config"}')) == {"ok": True}
        assert "error" in json.loads(harness.ask(b'{"op": "tune-socket", "link": "nix"}', 0))

    before = open_descriptors()
    harness.serve(steps)
    assert harness.said == ["READY=1", "STOPPING=1"]
    assert open_descriptors() == before


def test_each_role_serves_its_own_requests(harness: Harness, log_lines: pytest.LogCaptureFixture) -> None:
    messages = {
        kind: requests.encode(request)
        for kind, request in {
            requests.RunScript: requests.RunScript(requests.ScriptEvent.TUNTAP_UP),
            requests.OpenConfig: requests.OpenConfig(),
            requests.Resolve: requests.Resolve(requests.End.CONTROL),
            requests.OpenControl: requests.OpenControl(),
            requests.OpenLog: requests.OpenLog(),
        }.items()
    }

    def answered(kind: type[requests.Request]) -> bool:
        return harness.ask(messages[kind], 0 if kind.DESCRIPTORS else None) != REFUSED

    for role, served in (("helper", requests.OpenConfig), ("script", requests.RunScript)):
        log_lines.clear()
        found: set[type[requests.Request]] = set()
        harness.serve(lambda found=found: found.update(kind for kind in messages if answered(kind)), role=role)  # type: ignore[misc]
        assert found == {served}
        assert len(log_lines.messages) == len(messages) - 1
        assert all(line.endswith(": not served here") for line in log_lines.messages)


def test_a_refusal_can_be_looked_for_in_the_journal(harness: Harness, log_lines: pytest.LogCaptureFixture) -> None:
    harness.serve(lambda: harness.ask(b'{"op": "open-shell"}'))
    (record,) = log_lines.records
    assert record.levelname == "ERROR"
    assert record.__dict__["journal"] == {"EVENT": "helper-refused", "REASON": "unknown op 'open-shell'"}


def test_another_user_is_refused(harness: Harness, log_lines: pytest.LogCaptureFixture) -> None:
    harness.caller = Caller(os.geteuid() + 1, UNIT)
    harness.serve(lambda: _is_refused(harness))
    assert log_lines.messages == [f"request refused: process {os.getpid()} of user {os.geteuid()} is not the daemon"]


@pytest.mark.parametrize(
    "groups",
    [
        ["/system.slice/mlvpn@office.service"],
        ["/user.slice/user-998.slice/user@998.service/app.slice/mlvpn@home.service"],
        ["/system.slice/some.service/mlvpn@home.service"],
        ["/system.slice/some.scope/x.slice/mlvpn@home.service"],
        ["/container/system.slice/mlvpn@home.service"],
        ["/system.slice/xmlvpn@home.service"],
        ["/system.slice/mlvpn@home.service/inner"],
        ["/user.slice"],
        ["/"],
        [],
    ],
)
def test_the_daemon_of_another_tunnel_is_refused(
    harness: Harness, log_lines: pytest.LogCaptureFixture, groups: list[str]
) -> None:
    """The whole path counts: somebody may be able to make a control group of the same name elsewhere."""
    harness.groups = groups
    harness.serve(lambda: _is_refused(harness))
    assert log_lines.messages == [f"request refused: process {os.getpid()} is not in {UNIT}"]


@pytest.mark.parametrize(
    ("own", "group"),
    [
        (
            "/system.slice/system-mlvpn\\x2dhelper.slice/h.service",
            "/system.slice/system-mlvpn.slice/mlvpn@home.service",
        ),
        ("/system.slice/h.service", "/vpn.slice/vpn-fast.slice/mlvpn@home.service"),
        ("/system.slice/h.service", "/mlvpn@home.service"),
        ("/h.service", "/system.slice/mlvpn@home.service"),
        ("/docker/1a2b/system.slice/h.service", "/docker/1a2b/system.slice/mlvpn@home.service"),
    ],
)
def test_the_daemon_is_known_in_whatever_slice_it_is(own: str, group: str) -> None:
    """Drop-ins may put the daemon elsewhere than the helper, but below the root of the manager's tree."""
    assert activated.is_unit(group, UNIT, own)
    assert not activated.is_unit(f"/x{group}", UNIT, own)
    assert not activated.is_unit(group, "mlvpn@office.service", own)


def _is_refused(harness: Harness) -> None:
    try:
        assert harness.ask(b'{"op": "open-config"}') == REFUSED
    except ConnectionError:
        pass  # closed before the question was asked


def test_a_caller_that_has_ended_is_refused(harness: Harness, log_lines: pytest.LogCaptureFixture) -> None:
    """Its number may belong to another process when its control group is looked at."""
    code = f"""
        import socket
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect({str(harness.path)!r})
        sock.send(b'{{"op": "open-config"}}')
        """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
    assert process.returncode == 0
    harness.serve()
    assert len(log_lines.messages) == 1
    assert log_lines.messages[0].startswith("request refused: process ")


def test_who_only_woke_us_and_has_ended_is_not_spoken_of(harness: Harness, log_lines: pytest.LogCaptureFixture) -> None:
    code = f"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect({str(harness.path)!r})"
    process = subprocess.run([sys.executable, "-c", code])
    assert process.returncode == 0
    harness.serve()
    assert log_lines.messages == []


def test_groups_of_both_versions(tmp_path: Path) -> None:
    mine = Path("/proc/self/cgroup").read_text().splitlines()
    expected = [line.split(":", 2)[2] for line in mine if line.startswith("0::") or ":name=systemd:" in line]
    assert activated.control_groups(os.getpid()) == expected
    assert activated.control_groups(2**22 + 1) == []


def test_without_pidfds_of_peers(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 6.1 has no pidfds of peers."""
    monkeypatch.setattr(activated, "_SO_PEERPIDFD", 9999)
    answers: list[bytes] = []
    harness.serve(lambda: answers.append(harness.ask(b'{"op": "open-config"}')))
    assert json.loads(answers[0]) == {"ok": True}


def test_it_ends_when_nobody_asks(harness: Harness) -> None:
    assert 0.2 <= harness.serve() < 5


def test_each_request_puts_the_end_off(harness: Harness) -> None:
    def steps() -> None:
        for _ in range(5):
            time.sleep(0.3)
            assert harness.ask(b'{"op": "open-config"}')

    assert harness.serve(steps, idle_time=1.2) >= 2.7  # without requests, it would have ended in the middle


def test_what_waits_is_left_for_the_next_one(harness: Harness) -> None:
    """systemd keeps the socket, so the next process answers a question that comes at the moment of the end."""
    harness.serve()
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(harness.ask(b'{"op": "open-config"}')))
    thread.start()
    time.sleep(0.05)
    harness.serve()
    thread.join()
    assert json.loads(answers[0]) == {"ok": True}


def test_it_does_not_leave_a_connection(harness: Harness) -> None:
    def steps() -> None:
        with harness.connect() as sock:
            time.sleep(0.5)
            sock.send(b'{"op": "open-config"}')
            assert json.loads(sock.recv(1000)) == {"ok": True}

    assert harness.serve(steps, idle_time=0.1) >= 0.5


def test_scripts_keep_the_company_of_what_they_left(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd would kill what they left together with the activated helper."""
    company = [True, True, False]
    monkeypatch.setattr(activated, "has_company", lambda: company.pop(0))
    assert harness.serve(role="script", idle_time=0.1) >= 0.3
    assert company == []


def test_company(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(activated, "_CGROUP_ROOTS", (str(tmp_path / "none"), str(tmp_path)))
    monkeypatch.setattr(activated, "control_groups", lambda _pid: ["/none", "/other", "/unit"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cgroup.procs").write_text("1\n2\n")
    (tmp_path / "unit").mkdir()
    processes = tmp_path / "unit" / "cgroup.procs"
    assert not activated.has_company()
    processes.write_text(f"{os.getpid()}\n")
    assert not activated.has_company()
    processes.write_text(f"1\n{os.getpid()}\n")
    assert activated.has_company()


def test_too_many_connections(
    harness: Harness, log_lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activated, "MAX_CONNECTIONS", 2)

    def steps() -> None:
        first, second, third = (harness.connect() for _ in range(3))
        with first, second, third:
            third.settimeout(10)
            assert third.recv(100) == REFUSED
            first.send(b'{"op": "open-config"}')
            assert first.recv(1000)

    harness.serve(steps)
    assert log_lines.messages == ["request refused: 2 requests are being served already"]


def test_sigterm_lets_the_running_request_finish(harness: Harness, trusted_directory: Path) -> None:
    _use_script(harness, trusted_directory, "touch $0.begun; sleep 0.5; echo done >$0.done")
    answers: list[bytes] = []

    def steps() -> None:
        device = os.open("/dev/net/tun", os.O_RDWR)
        answers.append(harness.ask(b'{"op": "run-script", "event": "tuntap_up"}', device))
        os.close(device)

    async def terminate(_service: Service) -> None:
        assert await asyncio.to_thread(wait_until, (trusted_directory / "script.begun").exists, 10)
        os.kill(os.getpid(), signal.SIGTERM)

    assert harness.serve(steps, role="script", idle_time=60, until=terminate) < 20
    assert json.loads(answers[0]) == {"ok": True, "rc": 0}
    assert (trusted_directory / "script.done").exists()


def test_sigterm_lets_the_daemon_ask_on(
    harness: Harness, trusted_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd stops the helper and the daemon at once, and the daemon has down scripts to run."""
    monkeypatch.setattr(activated, "members", lambda groups: [{1}] if groups == harness.groups else [])
    _use_script(harness, trusted_directory, "echo $2 >>$0.calls")

    asked, stopped = threading.Event(), threading.Event()

    def steps() -> None:
        device = os.open("/dev/net/tun", os.O_RDWR)
        assert harness.ask(b'{"op": "run-script", "event": "tuntap_up"}', device)
        asked.set()
        assert stopped.wait(10)
        time.sleep(0.3)
        assert harness.ask(b'{"op": "run-script", "event": "tuntap_down"}', device)
        os.close(device)

    async def terminate(_service: Service) -> None:
        assert await asyncio.to_thread(asked.wait, 10)
        os.kill(os.getpid(), signal.SIGTERM)
        stopped.set()

    took = harness.serve(steps, role="script", idle_time=60, until=terminate)
    assert activated.STOP_PATIENCE < took < activated.STOP_PATIENCE + 5
    assert (trusted_directory / "script.calls").read_text().split() == ["tuntap_up", "tuntap_down"]


def test_scripts_are_not_left_without_their_end(harness: Harness, trusted_directory: Path) -> None:
    """At a stop, systemd no longer starts a service by its socket."""
    _use_script(harness, trusted_directory, "exit 0")

    def steps() -> None:
        device = os.open("/dev/net/tun", os.O_RDWR)
        assert harness.ask(b'{"op": "run-script", "event": "rtun_up", "link": "adsl1"}', device)
        time.sleep(0.6)
        assert harness.ask(b'{"op": "run-script", "event": "rtun_down", "link": "adsl1"}', device)
        os.close(device)

    assert harness.serve(steps, role="script", idle_time=0.1) >= 0.7


def _use_script(harness: Harness, directory: Path, text: str) -> None:
    script = directory / "script"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o700)
    config = harness.config_path.read_text().replace("mlvtest%d", f'lo"\nstatuscommand = "{script}')
    harness.config_path.write_text(config)


def test_a_link_that_left_the_file_goes_down_by_the_next_helper_too(
    harness: Harness, trusted_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use_script(harness, trusted_directory, 'echo "$@" >>$0.calls')
    monkeypatch.setattr(activated, "STOP_PATIENCE", 0.1)
    seen: list[object] = []

    def run(event: str, link: str) -> None:
        async def call() -> None:
            client = harness.client()
            device = os.open("/dev/net/tun", os.O_RDWR)
            client.use_tun(lambda: device)
            try:
                seen.append(await client.run_script(event, link))
            except HelperError as error:
                seen.append(str(error))
            finally:
                os.close(device)

        asyncio.run(call())

    async def end(_service: Service) -> None:
        count = len(seen)
        await asyncio.to_thread(wait_until, lambda: len(seen) > count, 5)
        os.kill(os.getpid(), signal.SIGTERM)

    harness.serve(lambda: run("rtun_up", "adsl2"), role="script", until=end)
    text = harness.config_path.read_text()
    harness.config_path.write_text(text[: text.index("[adsl2]")])
    for event, link in (("rtun_up", "adsl2"), ("rtun_down", "adsl3"), ("rtun_down", "adsl2"), ("rtun_down", "adsl2")):
        harness.serve(lambda event=event, link=link: run(event, link), role="script", until=end)  # type: ignore[misc]
    refused = f"no link {{}} in {harness.config_path}"
    assert seen == [0, refused.format("'adsl2'"), refused.format("'adsl3'"), 0, refused.format("'adsl2'")]
    calls = (trusted_directory / "script.calls").read_text().splitlines()
    assert calls == ["lo rtun_up adsl2", "lo rtun_down adsl2"]


def test_a_symbolic_link_is_no_configuration(harness: Harness, tmp_path: Path) -> None:
    link = tmp_path / "link.conf"
    link.symlink_to(harness.config_path)
    harness.config_path = link
    answers: list[dict[str, str]] = []

    def steps() -> None:
        for message, descriptor in ((b'{"op": "open-config"}', None), (b'{"op": "tune-socket", "link": "adsl1"}', 0)):
            answers.append(json.loads(harness.ask(message, descriptor)))

    harness.serve(steps)
    assert ["unable to open file" in answer["error"] for answer in answers] == [True, True]


def test_a_password_is_not_needed(harness: Harness) -> None:
    harness.config_path.write_text(harness.config_path.read_text().replace('password = "secret"\n', ""))
    answers: list[bytes] = []

    def steps() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            answers.append(harness.ask(b'{"op": "tune-socket", "link": "adsl1"}', sock.fileno()))

    harness.serve(steps)
    assert json.loads(answers[0]) == {"ok": True}
