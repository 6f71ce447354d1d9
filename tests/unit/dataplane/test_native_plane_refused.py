"""The native loop on a kernel that takes no super-packets, though it has said otherwise."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import socket
import struct

import pytest

from mlvpnd.dataplane.binding.loop import NativeLoop
from mlvpnd.dataplane.native_session import NativeSession
from mlvpnd.offload.vnet import VNET_SIZE
from mlvpnd.protocol.links.session import SessionParameters
from tests.unit.net.test_tun import run_of

WRITEV = {"x86_64": 20, "aarch64": 66}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, MORE, RETURN = 0x20, 0x15, 0x25, 0x06  # linux/bpf_common.h: of a word, with a constant
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NUMBER, THIRD_ARGUMENT = 0, 32  # in struct seccomp_data


def refuse_super_packets() -> None:
    """From now on writev(2) of more than a header and a packet fails with EINVAL in this process."""
    program = [
        (LOAD, 0, 0, NUMBER),
        (EQUAL, 0, 3, WRITEV[platform.machine()]),
        (LOAD, 0, 0, THIRD_ARGUMENT),
        (MORE, 0, 1, 2),
        (RETURN, 0, 0, ERRNO | errno.EINVAL),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    filters = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters):
        raise OSError(ctypes.get_errno(), "prctl")


def deliver(batches: list[list[bytes]], tun: socket.socket) -> dict[str, int]:
    session = NativeSession(SessionParameters(bytes(32), is_server=True), 1, lambda: 1)
    loop = NativeLoop(session.engine)
    loop.watch_tun(tun.fileno(), has_vnet=True, uso=True)
    for batch in batches:
        loop.deliver(batch)
    return loop.tun_counts()


def deliver_in_child(batches: list[list[bytes]], tun: socket.socket, *, refusing: bool) -> dict[str, int]:
    """The counters of a child process, whose kernel may refuse."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            if refusing:
                refuse_super_packets()
            os.write(writer, json.dumps(deliver(batches, tun)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as file:
        counts: dict[str, int] = json.loads(file.read())
    assert os.waitpid(child, 0)[1] == 0
    return counts


@pytest.mark.skipif(platform.machine() not in WRITEV, reason="its number of writev(2) is not known here")
def test_what_the_kernel_does_not_take_is_taken_apart() -> None:
    batches = [run_of(5), run_of(4, udp=True), run_of(3)]
    packets = [packet for batch in batches for packet in batch]
    for refusing in (False, True):
        tun, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        counts = deliver_in_child(batches, tun, refusing=refusing)
        frames = []
        for _ in range(len(packets) if refusing else len(batches)):
            frames.append(kernel.recv(1 << 17))
        assert counts["packets_written"] == len(packets)
        assert counts["bytes_written"] == sum(map(len, packets))
        assert counts["refused"] == 0
        if refusing:
            assert frames == [bytes(VNET_SIZE) + packet for packet in packets]
        assert counts["coalesced_segments"] == (0 if refusing else len(packets))
        tun.close()
        kernel.close()
