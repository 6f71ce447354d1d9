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
