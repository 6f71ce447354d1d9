"""What a link's socket says of datagrams that the system refuses."""

from __future__ import annotations

import socket
import time

from mlvpnd.net.link_socket import LinkSocket

REFUSED = ("255.255.255.255", 9)
"""Broadcasting needs a socket that has asked for it."""


def since_of(link: LinkSocket) -> float | None:
    return link.refused_since


def test_it_tells_since_when_everything_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        link = LinkSocket(sock)
        link.send_batch([b"a"], far.getsockname())
        assert since_of(link) is None
        before = time.monotonic()
        link.send_batch([b"b", b"c"], REFUSED)
        since = since_of(link)
        assert since is not None
        assert before <= since <= time.monotonic()
        assert (link.send_errors, link.last_error) == (2, "Permission denied")
        link.send_batch([b"d"], REFUSED)
        assert since_of(link) == since
        link.send_batch([b"e"], far.getsockname())
        assert since_of(link) is None
        assert [far.recv(9) for _ in range(2)] == [b"a", b"e"]
        link.close()


def test_what_waits_is_sent_before_the_socket_closes() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with far:
        link = LinkSocket(_Unaddressed(near))
        sent = 0
        while not link.blocked:
            link.send_batch([b"%d" % sent], None)
            sent += 1
        link.send_batch([b"disconnect"], None)
        for _ in range(sent - 1):
            far.recv(16)
        link.close()
        assert [far.recv(16), far.recv(16)] == [b"%d" % (sent - 1), b"disconnect"]


class _Unaddressed(socket.socket):
    """A connected socket that takes an address and ignores it."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())
        self.settimeout(0)

    def sendto(self, data: bytes, address: object) -> int:  # type: ignore[override]  # one form of several
        return self.send(data)
