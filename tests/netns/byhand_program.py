"""`mlvpn` with a daemon that tries each request and reports the results, for test_byhand.

    python -m tests.netns.byhand_program REPORT ARGUMENTS-OF-MLVPN…

REPORT gets one JSON object per line: first the results of the requests, then `{"hup": true}` for every SIGHUP.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import struct
import sys
import time
from types import ModuleType
from typing import Any, TextIO

from mlvpnd.base import proctitle
from mlvpnd.base.options import Options
from mlvpnd.cli import mlvpn
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import HelperClient
from mlvpnd.logs import log

TUNGETIFF = 0x800454D2


async def _configured_mtu(helper: HelperClient) -> int:
    return (await helper.configure_tun(ipv6_path=True)).mtu


async def _outcome(call: Any) -> Any:
    try:
        return await call
    except MlvpndError as error:
        return f"error: {error}"


async def _requests(helper: HelperClient) -> dict[str, Any]:
    seen: dict[str, Any] = {"pid": os.getpid(), "parent": os.getppid(), "root": sorted(os.listdir("/"))}
    seen["config"] = (await helper.open_config()).decode()
    tun = await helper.open_tun()
    helper.use_tun(lambda: tun.fd)
    seen["tun"] = [tun.name, tun.mtu]
    seen["tun_flags"] = struct.unpack_from("16sH", fcntl.ioctl(tun.fd, TUNGETIFF, bytes(40)))[1]
    seen["tun_blocking"] = os.get_blocking(tun.fd)
    seen["tun_inheritable"] = os.get_inheritable(tun.fd)
    seen["configure"] = await _outcome(_configured_mtu(helper))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        seen["tune"] = await _outcome(helper.tune_socket("adsl1", sock))
        seen["rcvbuf"] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        seen["bind"] = await _outcome(helper.bind_socket("adsl1", sock))
        seen["bound"] = sock.getsockname()
        seen["device"] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0").decode()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        seen["tune_tcp"] = await _outcome(helper.tune_socket("adsl1", sock))
    seen["state"] = [await helper.read_state(), await _outcome(helper.write_state(b"kept"))]
    seen["state"].append(((await helper.read_state()) or b"").decode())
    seen["resolve"] = await _outcome(helper.resolve("remote", "adsl1"))
    seen["resolve_bind"] = await _outcome(helper.resolve("bind", "adsl1"))
    seen["resolve_unknown"] = await _outcome(helper.resolve("remote", "nix"))
    seen["script"] = await asyncio.gather(
        *(
            _outcome(helper.run_script(*event))
            for event in (("rtun_up", "adsl1"), ("tuntap_up", None), ("rtun_down", "adsl1"), ("tuntap_down", None))
        )
    )
    control = await helper.open_control()
    seen["control"] = None if control is None else control.getsockname()
    syslog = await helper.open_log()
    seen["log"] = None if syslog is None else syslog.getpeername()
    try:
        import this  # noqa: F401
    except ImportError as error:
        seen["import"] = str(error)
    seen["time"] = time.strftime("%Z")
    for kept in (control, syslog):
        if kept is not None:
            _kept.append(kept)
    _kept.append(tun)
    return seen


_kept: list[Any] = []


async def _run(helper: HelperClient, report: TextIO) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def tell(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=report, flush=True)

    def end(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, end, 0)
    loop.add_signal_handler(signal.SIGHUP, tell, {"hup": True})

    def parent_gone() -> None:
        tell({"parent_gone": True})
        end(7)

    helper.on_closed(parent_gone)
    tell(await _requests(helper))
    return await ended


def main(report_path: str, arguments: list[str]) -> int:
    """Runs the command line with the daemon above in place of the real one."""
    reports: list[TextIO] = []

    def preload() -> None:
        logging.getLogger()
        reports.append(open(report_path, "w"))  # a file opened before the start would be closed

    def run(options: Options, helper: HelperClient) -> int:
        log.logger().info("the daemon runs")
        proctitle.set_title("mlvpn: test @adsl1", natural=options.natural_title)
        return asyncio.run(_run(helper, reports[0]))

    fake: Any = ModuleType("mlvpnd.daemon.run")
    fake.preload = preload
    fake.run = run
    sys.modules["mlvpnd.daemon.run"] = fake
    return mlvpn.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
