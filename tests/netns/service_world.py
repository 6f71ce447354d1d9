"""A host for one `mlvpnd --instance mlvpn0`. Root runs it in its own mount and network namespaces.

It has `/run` and `/etc` of its own. The helper has both its parts in one process, and serves whoever asks. The work of
systemd and control groups is tested on booted systems. The program says `ready` when it listens. At the end it is
killed, and everything that it made goes with the namespaces.
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
    """Every process here may ask."""

    def check(self, sock: socket.socket) -> list[str]:
        return []


def furnish(uid: int) -> None:
    """Makes the directories that systemd-tmpfiles and the unit would make."""

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
