"""The kernel's word on a peer."""

from __future__ import annotations

import os
import socket

from mlvpnd.base.credentials import credentials_of


def test_the_other_end_of_a_pair_is_this_process() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert credentials_of(one) == (os.getpid(), os.geteuid(), os.getegid())


def test_a_socket_of_another_family_has_no_process() -> None:
    with socket.socket(socket.AF_INET) as sock:
        assert credentials_of(sock).pid == 0
