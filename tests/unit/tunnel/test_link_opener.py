"""A link's socket: which of the peer's addresses is tried when, and what a failure looks like."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from mlvpnd.config.model import LinkConfig, Mode
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import HelperClient
from mlvpnd.net.interface import bound_index
from mlvpnd.net.resolve import Endpoints, Resolved
from mlvpnd.tunnel import link_opener as link_module
from mlvpnd.tunnel.link_opener import LinkOpener

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)


class Helper:
    """Answers look-ups from a list that the test changes; the empty list is a failure."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = list(hosts)
        self.lookups = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def resolve(self, end: str, link: str) -> list[tuple[int, Any]]:
        assert (end, link) == ("remote", "adsl1")
        self.lookups += 1
        await self.answering.wait()
        if not self.hosts:
            raise MlvpndError("getaddrinfo(vpn.test,5080) failed: Name or service not known")
        return [(V6, (host, 5080, 0, 0)) if ":" in host else (V4, (host, 5080)) for host in self.hosts]

    async def tune_socket(self, link: str, sock: socket.socket) -> None:
        pass


class Followed:
    """A driver and what it reported."""

    def __init__(
        self,
        helper: Helper,
        config: LinkConfig,
        remembered: Sequence[Resolved] = (),
        remembered_at: float | None = None,
    ) -> None:
        self.opened: asyncio.Queue[Endpoints] = asyncio.Queue()
        self.closed = 0
        self.driver = LinkOpener(
            config,
            Mode.CLIENT,
            cast(HelperClient, helper),
            self.opened.put_nowait,
            self._count_close,
            remembered,
            remembered_at,
        )

    def _count_close(self) -> None:
        assert self.driver.socket is not None  # still there
        self.closed += 1

    async def next(self) -> str:
        """The peer's address of the next socket."""
        ends = await asyncio.wait_for(self.opened.get(), 5)
        assert ends.remote is not None
        return str(ends.remote[0])

    def unanswered(self) -> str:
        """The peer does not answer.

        Returns the address that is asked next over the same socket, or "" for a new socket.
        """
        ends = self.driver.next_address()
        if ends is None:
            self.driver.timed_out()
            return ""
        assert ends.remote is not None
        return str(ends.remote[0])


def follow(
    helper: Helper,
    steps: Callable[[Followed], Awaitable[None]],
    config: LinkConfig | None = None,
) -> None:
    async def main() -> None:
        followed = Followed(helper, config or LinkConfig("adsl1", remotehost="vpn.test", remoteport="5080"))
        try:
            await steps(followed)
        finally:
            followed.driver.stop()

    asyncio.run(main())


def test_addresses_of_one_family_are_tried_over_one_socket_and_then_looked_up_again() -> None:
    helper = Helper("192.0.2.1", "192.0.2.2")

    async def steps(followed: Followed) -> None:
        assert await followed.next() == "192.0.2.1"
        assert followed.unanswered() == "192.0.2.2"
        assert helper.lookups == 1
        assert followed.unanswered() == ""
        assert followed.closed == 1
        helper.hosts.append("192.0.2.3")
        assert await followed.next() == "192.0.2.3"
        assert followed.unanswered() == "192.0.2.1"

    follow(helper, steps)


def test_addresses_of_another_family_are_tried_too() -> None:
    async def steps(followed: Followed) -> None:
        for _ in range(2):
            assert await followed.next() == "2001:db8::1"
            assert followed.unanswered() == ""
            assert await followed.next() == "192.0.2.1"
            assert followed.unanswered() == ""

    follow(Helper("2001:db8::1", "192.0.2.1"), steps)


def test_after_a_timeout_the_address_that_worked_comes_first() -> None:
    async def steps(followed: Followed) -> None:
        assert await followed.next() == "192.0.2.1"
        assert followed.unanswered() == "192.0.2.2"
        followed.driver.reopen()
        assert await followed.next() == "192.0.2.2"

    follow(Helper("192.0.2.1", "192.0.2.2"), steps)


def test_a_changed_name_is_followed() -> None:
    helper = Helper("192.0.2.1")

    async def steps(followed: Followed) -> None:
        await followed.next()
        helper.hosts[:] = ["192.0.2.9"]
        followed.driver.reopen()
        assert await followed.next() == "192.0.2.9"

    follow(helper, steps)


def test_while_a_name_cannot_be_looked_up_the_addresses_found_before_are_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The name server may be at the other end of this very tunnel."""
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    helper = Helper("192.0.2.1", "192.0.2.2")

    async def steps(followed: Followed) -> None:
        assert await followed.next() == "192.0.2.1"
        helper.hosts.clear()
        for _ in range(2):
            assert followed.unanswered() == "192.0.2.2"
            assert followed.unanswered() == ""
            assert await followed.next() == "192.0.2.1"
        assert helper.lookups == 3
        helper.hosts.append("192.0.2.9")
        followed.driver.reopen()
        assert await followed.next() == "192.0.2.9"

    with caplog.at_level(logging.INFO):
        follow(helper, steps)
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert warning.getMessage() == (
        "adsl1 getaddrinfo(vpn.test,5080) failed: Name or service not known (the addresses found before are tried)"
    )


def test_a_new_opener_tries_the_addresses_that_the_one_before_knew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a reload that restarts a link; a look-up that succeeds is newer."""
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    helper = Helper("192.0.2.1", "192.0.2.2")

    async def steps(followed: Followed) -> None:
        assert await followed.next() == "192.0.2.1"
        helper.hosts.clear()
        again = Followed(helper, followed.driver.config, followed.driver.remotes)
        try:
            for _ in range(2):
                assert await again.next() == "192.0.2.1"
                assert again.unanswered() == "192.0.2.2"
                assert again.unanswered() == ""
            assert await again.next() == "192.0.2.1"
            helper.hosts.append("192.0.2.9")
            again.driver.reopen()
            assert await again.next() == "192.0.2.9"
            helper.hosts.clear()
            again.driver.reopen()
            assert await again.next() == "192.0.2.9"
        finally:
            again.driver.stop()

    with caplog.at_level(logging.WARNING):
        follow(helper, steps)
    assert [record.getMessage().endswith("(the addresses found before are tried)") for record in caplog.records] == [
        True
    ] * 2


NAMED = LinkConfig("adsl1", remotehost="vpn.test", remoteport="5080")
LAST: list[Resolved] = [(V4, ("192.0.2.7", 5080)), (V4, ("192.0.2.8", 5080))]


def test_a_name_that_is_known_through_the_tunnel_only_comes_up_from_a_cold_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    helper = Helper()

    async def steps() -> None:
        at = time.mktime((2026, 11, 30, 12, 34, 0, 0, 0, -1))
        followed = Followed(helper, NAMED, LAST, at)
        try:
            for _ in range(2):
                assert await followed.next() == "192.0.2.7"
                assert followed.unanswered() == "192.0.2.8"
                assert followed.unanswered() == ""
            helper.hosts.append("192.0.2.1")
            assert await followed.next() in ("192.0.2.7", "192.0.2.1")
            followed.driver.reopen()
            assert await followed.next() == "192.0.2.1"
        finally:
            followed.driver.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(steps())
    assert caplog.messages == [
        "adsl1 getaddrinfo(vpn.test,5080) failed: Name or service not known (using the addresses of 2026-11-30 12:34)"
    ]


def test_a_first_look_up_that_hangs_does_not_keep_it_from_the_last_addresses(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    monkeypatch.setattr(link_module, "LOOKUP_PATIENCE", 0.05)
    helper = Helper("192.0.2.1")
    helper.answering.clear()

    async def steps() -> None:
        followed = Followed(helper, NAMED, LAST, 0.0)
        try:
            assert await followed.next() == "192.0.2.7"
            assert followed.unanswered() == "192.0.2.8"
            helper.answering.set()
            assert followed.unanswered() == ""
            assert await followed.next() == "192.0.2.1"
        finally:
            followed.driver.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(steps())
    (line,) = caplog.messages
    assert line.startswith("adsl1 vpn.test: the look-up takes long (using the addresses of 19")


def test_a_look_up_that_hangs_keeps_no_link_from_its_known_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "LOOKUP_PATIENCE", 0.05)
    helper = Helper("192.0.2.1")

    async def steps(followed: Followed) -> None:
        assert await followed.next() == "192.0.2.1"
        helper.answering.clear()
        helper.hosts[:] = ["192.0.2.9"]
        for _ in range(2):
            assert followed.unanswered() == ""
            assert await followed.next() == "192.0.2.1"
        assert helper.lookups == 2
        helper.answering.set()
        await asyncio.sleep(0)
        assert followed.unanswered() == ""
        assert await followed.next() == "192.0.2.9"

    follow(helper, steps)


def test_a_socket_that_is_opened_again_and_again_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)

    async def steps(followed: Followed) -> None:
        for _ in range(3):
            await followed.next()
            assert followed.unanswered() == ""

    with caplog.at_level(logging.INFO):
        follow(Helper("192.0.2.1"), steps)
    assert caplog.messages == ["adsl1 bind to any"]


def test_a_socket_whose_interface_was_made_anew_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is still bound to the old interface, and would never hear anything."""
    monkeypatch.setattr(link_module, "DEVICE_CHECK_INTERVAL", 0.01)
    monkeypatch.setattr(link_module, "FIRST_BACKOFF", 0.01)
    index: list[int] = [7]

    def if_nametoindex(name: str) -> int:
        assert name == "lo"
        if not index:
            raise OSError(errno.ENODEV, "No such device")
        return index[0]

    monkeypatch.setattr(socket, "if_nametoindex", if_nametoindex)
    config = LinkConfig("adsl1", binddevice="lo", remotehost="127.0.0.1", remoteport="5080")

    async def steps(followed: Followed) -> None:
        await followed.next()
        await asyncio.sleep(0.05)
        assert followed.closed == 0
        for now in ([8], []):
            index[:] = now
            await followed.next()
        assert followed.closed == 2

    follow(Helper(), steps, config)


def test_the_kernel_has_a_moment_to_say_why_an_interface_went(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look may find the loss first, but whoever closes the socket says why the link is down."""
    monkeypatch.setattr(link_module, "DEVICE_CHECK_INTERVAL", 0.01)
    monkeypatch.setattr(link_module, "DEVICE_CHANGE_GRACE", 5.0)
    looks: list[int] = []

    def index_of(name: str) -> int:
        looks.append(len(looks))
        return 7 if len(looks) < 3 else 0

    monkeypatch.setattr(link_module, "index_of", index_of)
    config = LinkConfig("adsl1", binddevice="lo", remotehost="127.0.0.1", remoteport="5080")

    async def steps(followed: Followed) -> None:
        await followed.next()
        await asyncio.sleep(0.2)
        assert len(looks) >= 3
        assert followed.closed == 0
        followed.driver.uplink_is_lost()
        assert followed.closed == 1
        await followed.next()

    follow(Helper(), steps, config)


def test_a_name_without_address_is_said_once_and_looked_up_until_it_has_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(link_module, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    helper = Helper()

    async def steps(followed: Followed) -> None:
        await asyncio.sleep(0.2)
        assert helper.lookups > 2
        assert followed.driver.error == "getaddrinfo(vpn.test,5080) failed: Name or service not known"
        helper.hosts.append("192.0.2.1")
        assert await followed.next() == "192.0.2.1"
        await asyncio.sleep(0)
        assert followed.driver.error == ""

    with caplog.at_level(logging.INFO):
        follow(helper, steps)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.name for record in warnings] == ["mlvpnd.dns"]
    assert warnings[0].getMessage().startswith("adsl1 getaddrinfo(vpn.test,5080) failed: Name or service not known")


def test_a_local_address_that_is_not_there() -> None:
    config = LinkConfig("adsl1", bindhost="192.0.2.77", remotehost="192.0.2.1", remoteport="5080")

    async def steps(followed: Followed) -> None:
        await asyncio.sleep(0.05)
        assert followed.driver.error == "bind error: bind to 192.0.2.77:0: Cannot assign requested address"
        assert followed.driver.socket is None

    follow(Helper(), steps, config)


def test_a_local_address_is_tried_often(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(link_module, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(link_module, "MAX_BIND_BACKOFF", 0.02)
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    config = LinkConfig("adsl1", bindhost="192.0.2.77", remotehost="192.0.2.1", remoteport="5080")

    async def steps(followed: Followed) -> None:
        await asyncio.sleep(0.5)

    with caplog.at_level(logging.DEBUG):
        follow(Helper(), steps, config)
    # If the pause doubled each time, there would be five tries.
    assert sum("next try" in text for text in caplog.messages) > 8


def test_of_a_link_that_was_there_nothing_is_told_twice(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever noticed that a link has gone down tells of it. A link that never was there is told of here."""
    monkeypatch.setattr(link_module, "FIRST_BACKOFF", 0.1)
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    missing = LinkConfig("adsl1", bindhost="192.0.2.77", remotehost="192.0.2.1", remoteport="5080")

    async def lose(followed: Followed) -> None:
        await followed.next()
        followed.driver.config = missing
        followed.driver.reopen()
        await asyncio.sleep(0.05)

    async def lack(followed: Followed) -> None:
        await asyncio.sleep(0.05)
        followed.driver.error = "another reason"  # which the next try changes again
        async with asyncio.timeout(5):
            while followed.driver.error == "another reason":  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    with caplog.at_level(logging.INFO):
        follow(Helper(), lose, LinkConfig("adsl1", bindhost="127.0.0.1", remotehost="192.0.2.1", remoteport="5080"))
        follow(Helper(), lack, missing)
    told = [one for one in caplog.records if "Cannot assign requested address" in one.getMessage()]
    assert [(one.levelno, getattr(one, "journal", {})) for one in told] == [
        (logging.INFO, {"LINK": "adsl1"}),
        (logging.WARNING, {"EVENT": "link-down", "LINK": "adsl1", "STATE": "down", "REASON": "error"}),
        (logging.INFO, {"LINK": "adsl1"}),
    ]


def test_a_link_that_waits_for_its_uplink_is_tried_when_that_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "MIN_TRY_INTERVAL", 0.05)
    missing = LinkConfig("adsl1", bindhost="192.0.2.77", remotehost="192.0.2.1", remoteport="5080")

    async def steps(followed: Followed) -> None:
        await asyncio.sleep(0.05)
        assert followed.driver.local_hosts == ["192.0.2.77"]
        followed.driver.config = LinkConfig("adsl1", bindhost="127.0.0.1", remotehost="192.0.2.1", remoteport="5080")
        followed.driver.uplink_is_back()
        async with asyncio.timeout(0.5):  # half of the pause
            assert await followed.next() == "192.0.2.1"
        assert followed.driver.local_hosts == ["127.0.0.1"]
        # The same news, while the socket is open, changes nothing.
        followed.driver.uplink_is_back()
        await asyncio.sleep(0.05)
        assert followed.closed == 0

    follow(Helper(), steps, missing)


def test_an_uplink_that_comes_and_goes_all_the_time_has_its_share_of_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "MIN_TRY_INTERVAL", 0.1)
    config = LinkConfig("adsl1", bindhost="127.0.0.1", remotehost="192.0.2.1", remoteport="5080")

    async def steps(followed: Followed) -> None:
        await followed.next()
        begin = asyncio.get_running_loop().time()
        for _ in range(100):
            if followed.driver.socket is not None:
                followed.driver.uplink_is_lost()
                assert followed.driver.socket is None  # at once
            followed.driver.uplink_is_back()
            await asyncio.sleep(0.005)
        tries = followed.closed
        passed = asyncio.get_running_loop().time() - begin
        assert 2 <= tries < passed / 0.1 + 2

    follow(Helper(), steps, config)


def test_a_name_that_is_not_found_is_looked_up_when_an_uplink_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "MIN_TRY_INTERVAL", 0.05)
    helper = Helper()

    async def steps(followed: Followed) -> None:
        await asyncio.sleep(0.05)
        assert followed.driver.nameless
        helper.hosts.append("192.0.2.1")
        followed.driver.uplink_is_back()
        async with asyncio.timeout(0.5):
            assert await followed.next() == "192.0.2.1"
        assert not followed.driver.nameless

    follow(helper, steps)


# The port.


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def bound_to(port: int) -> LinkConfig:
    return LinkConfig("adsl1", bindhost="127.0.0.1", bindport=str(port), remotehost="192.0.2.1", remoteport="5080")


async def ports_of(followed: Followed, count: int) -> list[int]:
    """The ports of the next sockets, none of which is answered."""
    ports = []
    for _ in range(count):
        await followed.next()
        assert followed.driver.socket is not None
        ports.append(followed.driver.socket.local_address[1])
        assert followed.unanswered() == ""
    return ports


def test_a_fixed_port_that_no_answer_comes_to_takes_turns_with_a_free_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A router keeps an old entry for the port as long as the port is used."""
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    port = free_port()

    async def steps(followed: Followed) -> None:
        ports = await ports_of(followed, 7)
        assert [one == port for one in ports] == [True, True, True, False, True, False, True]
        assert ports[3] != ports[5]
        assert [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING] == [
            f"adsl1 no answer arrives at bindport {port} after 3 time-outs: a free port is tried every other time"
        ]
        # The port that has worked is kept. Where it works no more, the other one is tried.
        await followed.next()
        followed.driver.answered()
        followed.driver.timed_out()
        assert [one == port for one in await ports_of(followed, 4)] == [False, False, True, False]

    follow(Helper("192.0.2.1"), steps, bound_to(port))


def test_a_link_that_is_answered_keeps_its_fixed_port() -> None:
    port = free_port()

    async def steps(followed: Followed) -> None:
        for _ in range(8):
            await followed.next()
            assert followed.driver.socket is not None
            assert followed.driver.socket.local_address[1] == port
            followed.driver.answered()
            followed.driver.timed_out()

    follow(Helper("192.0.2.1"), steps, bound_to(port))


def test_an_uplink_that_comes_and_goes_is_no_time_out() -> None:
    port = free_port()

    async def steps(followed: Followed) -> None:
        for _ in range(5):
            await followed.next()
            assert followed.driver.socket is not None
            assert followed.driver.socket.local_address[1] == port
            followed.driver.reopen()

    follow(Helper("192.0.2.1"), steps, bound_to(port))


def test_a_bindhost_that_is_an_interface_is_a_device_also_while_that_is_away(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    config = LinkConfig("adsl1", bindhost="lo", remotehost="127.0.0.1", remoteport="5080")

    async def steps(followed: Followed) -> None:
        assert await followed.next() == "127.0.0.1"
        sock = followed.driver.socket
        assert sock is not None
        assert followed.driver.device == "lo"
        with socket.socket(fileno=os.dup(sock.fileno())) as same:
            assert bound_index(same) == socket.if_nametoindex("lo")
        with monkeypatch.context() as away:
            away.setattr(link_module, "local_end", lambda host, device: (host, device))
            followed.driver.reopen()
            await followed.next()
        assert followed.driver.device == "lo"

    follow(Helper(), steps, config)  # which is never asked for a name
    warning = "adsl1 bindhost lo is the name of an interface: the link is bound to lo, as with binddevice"
    assert caplog.messages.count(warning) == 1
