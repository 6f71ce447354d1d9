"""A host for one `mlvpnd --instance mlvpn0`: run by root in a mount and a network namespace of its own.

Has `/run` and `/etc` of its own, and the helper with both its parts in one, for whoever asks: what systemd and control
groups would prove is tested on booted systems. Says `ready` when it listens. It is killed in the end; what it has made
goes with the namespaces.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess

from mlvpnd.base import instance
from mlvpnd.helper import address, requests
from mlvpnd.helper.activated import Caller, Service
from mlvpnd.helper.operations import Operations
from tests.support.passable import open_up

NAME = "mlvpn0"
USER = "nobody"


class Anybody(Caller):
    """Who may ask: every process here."""

    def check(self, sock: socket.socket) -> list[str]:
        return []


def furnish(uid: int) -> None:
    """The directories that systemd-tmpfiles and the unit would make."""

    def mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True)

    open_up()
    mount("-t", "tmpfs", "tmpfs", "/run")
    for path in ("/run/etc", "/run/work", instance.RUNTIME_DIRECTORY, address.DIRECTORY):
        os.mkdir(path)
    mount("-t", "overlay", "overlay", "-o", "lowerdir=/etc,upperdir=/run/etc,workdir=/run/work", "/etc")
    os.makedirs(instance.CONFIG_DIRECTORY, exist_ok=True)
    runtime = f"{instance.RUNTIME_DIRECTORY}/{NAME}"
    os.mkdir(runtime, 0o750)
    os.chown(runtime, uid, -1)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


async def serve() -> None:
    user = pwd.getpwnam(USER)
    furnish(user.pw_uid)
    operations = Operations(instance.config_path(NAME), user.pw_uid, user.pw_gid, follow_symlinks=False)
    services = []
    for role in address.Role:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = f"{address.DIRECTORY}/{NAME}{role.value}"
        listening.bind(path)
        os.chown(path, user.pw_uid, -1)
        listening.listen()
        both = requests.HELPER | requests.SCRIPT
        services.append(asyncio.create_task(Service(listening, operations, both, Anybody(0, "")).run()))
    print("ready", flush=True)
    await asyncio.gather(*services)


if __name__ == "__main__":
    asyncio.run(serve())
