"""What outlasts a stop: what is kept, when it is written, and what a file that is not ours does."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.config.model import LinkConfig
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.state_file import MAX_SIZE
from mlvpnd.net.resolve import Resolved
from mlvpnd.tunnel import lasting as module
from mlvpnd.tunnel.lasting import MAX_ADDRESSES, VERSION, Counters, Lasting, Newer, parse

LINK = LinkConfig("lte", remotehost="vpn.test", remoteport="5080")
V4: Resolved = (socket.AF_INET, ("192.0.2.1", 5080))
V6: Resolved = (socket.AF_INET6, ("2001:db8::1", 5080, 0, 0))
ONE = Counters(1, 2, 3, 4, 5)


class Store:
    """A disk with one file."""

    def __init__(self, text: bytes | None = None) -> None:
        self.text = text
        self.error: MlvpndError | None = None
        self.writes = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def read_state(self) -> bytes | None:
        if self.error is not None:
            raise self.error
        return self.text

    async def write_state(self, text: bytes) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.writes += 1
        self.text = text

    @property
    def document(self) -> Any:
        assert self.text is not None
        return json.loads(self.text)


def run(steps: Callable[[Store], Awaitable[None]], text: bytes | None = None) -> Store:
    async def main() -> Store:
        store = Store(text)
        await steps(store)
        return store

    return asyncio.run(main())


def written(**members: Any) -> bytes:
    return json.dumps({"version": VERSION, "links": {}, **members}).encode()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    caplog.set_level(logging.INFO, "mlvpnd")
    return caplog


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_everything_is_there_again_after_a_stop() -> None:
    async def steps(store: Store) -> None:
        first = await Lasting.load(store)
        first.begin(["lte", "dsl"], lambda: None)
        first.disable("lte", disabled=True)
        first.learn(LINK, [V4, V6])
        first.note("lte", ONE)
        first.note("", Counters(9))
        await first.close()
        again = await Lasting.load(store)
        assert (again.disabled("lte"), again.disabled("dsl")) == (True, False)
        known = again.known(LINK)
        assert known is not None
        assert known.addresses == (V4, V6)
        assert known.at == pytest.approx(time.time(), abs=2)
        assert again.total("lte", ONE) == Counters(2, 4, 6, 8, 10)
        assert again.total("dsl", ONE) == ONE
        assert again.total("", Counters(1)) == Counters(10)

    run(steps)


def test_what_an_operator_asks_and_a_new_address_are_written_at_once_and_counters_are_not() -> None:
    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        lasting.begin(["lte"], lambda: None)
        lasting.disable("lte", disabled=True)
        await turn()
        assert store.document["links"] == {"lte": {"disabled": True}}
        lasting.learn(LINK, [V4])
        await turn()
        assert store.document["links"]["lte"]["remote"]["addresses"] == [["192.0.2.1", 5080]]
        before = store.writes
        lasting.note("lte", ONE)
        lasting.learn(LINK, [V4])  # as before
        await turn()
        assert store.writes == before
        await lasting.close()
        assert store.document["links"]["lte"]["counters"]["disconnects"] == 5

    run(steps)


def test_counters_are_written_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_INTERVAL", 0.02)

    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        counted = [0]

        def note() -> None:
            counted[0] += 1
            lasting.note("lte", Counters(counted[0]))

        lasting.begin(["lte"], note)
        async with asyncio.timeout(5):
            while store.writes < 3:  # noqa: ASYNC110  (there is nothing to wait for)
                await asyncio.sleep(0.005)
        await lasting.close()
        at = counted[0]
        await asyncio.sleep(0.05)
        assert counted[0] == at

    run(steps)


def test_changes_while_the_disk_writes_are_written_after_it() -> None:
    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        lasting.begin(["lte"], lambda: None)
        store.gate.clear()
        lasting.disable("lte", disabled=True)
        await turn()
        for disabled in (False, True, False):
            lasting.disable("lte", disabled=disabled)
        store.gate.set()
        await turn()
        assert store.writes == 2
        assert store.document["links"]["lte"]["disabled"] is False

    run(steps)


def test_a_stop_does_not_wait_for_a_disk_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_SAVE_LIMIT", 0.05)

    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        lasting.begin(["lte"], lambda: None)
        store.gate.clear()
        lasting.disable("lte", disabled=True)
        await asyncio.wait_for(lasting.close(), 2)
        assert store.writes == 0

    run(steps)


def test_a_full_disk_is_told_once_and_tried_again(lines: pytest.LogCaptureFixture) -> None:
    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        lasting.begin(["lte"], lambda: None)
        store.error = MlvpndError("state.json: No space left on device")
        for disabled in (True, False, True):
            lasting.disable("lte", disabled=disabled)
            await turn()
        assert lasting.disabled("lte")
        assert len(lines.messages) == 1
        assert "No space left" in lines.messages[0]
        store.error = None
        await lasting.close()
        assert store.document["links"]["lte"]["disabled"] is True
        assert lines.messages[1:] == ["what shall outlast a stop is written again"]

    run(steps)


def test_a_file_of_a_newer_version_is_left_alone_and_told_once(lines: pytest.LogCaptureFixture) -> None:
    newer = json.dumps({"version": VERSION + 1, "links": ["of another form"]}).encode()

    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        lasting.begin(["lte"], lambda: None)
        lasting.disable("lte", disabled=True)
        assert lasting.disabled("lte")
        await lasting.close()
        assert store.text == newer
        assert [line for line in lines.messages if "newer" in line] == lines.messages[:1]
        lasting.forget({})  # an operator says so
        await lasting.close()
        assert store.document == {"version": VERSION, "links": {}}

    run(steps, newer)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"version": true, "links": {}}',
        b'{"version": 0, "links": {}}',
        written(links=[]),
        written(links={"lte": 7}),
        written(links={"lte": {"disabled": 1}}),
        written(links={"lte": {"counters": {"sent_bytes": -1}}}),
        written(links={"lte": {"counters": {"sent_bytes": 1.5}}}),
        written(links={"lte": {"counters": {"sent_bytes": 1 << 70}}}),
        written(tunnel={"counters": []}),
        written(links={"lte": {"remote": {"host": "a", "port": "1", "addresses": [["no address", 1]], "at": 1}}}),
        written(links={"lte": {"remote": {"host": "a", "port": "1", "addresses": [], "at": 1}}}),
        written(links={"lte": {"remote": {"host": "a", "port": "1", "addresses": [["::1", 99999]], "at": 1}}}),
        written(links={"lte": {"remote": {"host": "a", "port": 1, "addresses": [["::1", 1]], "at": 1}}}),
        written(links={"lte": {"remote": {"host": "a", "port": "1", "addresses": [["::1", 1]], "at": 1 << 50}}}),
        b" " * (MAX_SIZE + 1),
    ],
    ids=lambda text: str(text[:60]),
)
def test_a_broken_file_begins_anew_and_is_told_of(text: bytes, lines: pytest.LogCaptureFixture) -> None:
    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        assert len(lines.messages) == 1
        assert "broken" in lines.messages[0]
        lasting.begin(["lte"], lambda: None)
        lasting.note("lte", ONE)
        await lasting.close()
        assert store.document["links"]["lte"]["counters"]["sent_packets"] == 1

    run(steps, text)


@given(text=st.binary() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["version", "links", "tunnel", "lte", "disabled", "remote", "counters", "addresses", "at", "host", "port"]), inner)).map(lambda value: json.dumps(value).encode()))  # fmt: skip  # noqa: E501
def test_any_bytes_are_a_document_or_refused(text: bytes) -> None:
    try:
        document = parse(text)
    except (ValueError, Newer):
        return
    lasting = Lasting()
    lasting._document = document
    for name in document["links"]:
        lasting.disabled(name)
        lasting.known(LinkConfig(name, remotehost="a", remoteport="1"))


def test_a_directory_that_is_not_there_is_told_and_nothing_is_written(lines: pytest.LogCaptureFixture) -> None:
    async def steps(store: Store) -> None:
        store.error = MlvpndError("the unit has no StateDirectory=")
        lasting = await Lasting.load(store)
        store.error = None
        lasting.begin(["lte"], lambda: None)
        lasting.disable("lte", disabled=True)
        await lasting.close()
        assert store.writes == 0
        assert lines.messages == ["nothing outlasts a stop: the unit has no StateDirectory="]

    run(steps)


def test_the_configuration_goes_first() -> None:
    """A link that it no longer names is forgotten, and addresses hold for the name and port that it has now."""

    async def steps(store: Store) -> None:
        first = await Lasting.load(store)
        first.begin(["lte", "dsl"], lambda: None)
        for name in ("lte", "dsl"):
            first.disable(name, disabled=True)
            first.note(name, ONE)
        first.learn(LINK, [V4])
        await first.close()
        again = await Lasting.load(store)
        for change in ({"remotehost": "other.test"}, {"remoteport": "5081"}, {"name": "dsl"}):
            fields = {"name": "lte", "remotehost": "vpn.test", "remoteport": "5080", **change}
            assert again.known(LinkConfig(**fields)) is None  # type: ignore[arg-type]
        again.begin(["lte"], lambda: None)
        assert not again.disabled("dsl")
        assert again.total("dsl", Counters()) == Counters()
        await again.close()
        assert list(store.document["links"]) == ["lte"]

    run(steps)


def test_an_address_of_the_file_is_not_kept_and_of_a_name_not_too_many() -> None:
    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        lasting.learn(LinkConfig("lte", remotehost="192.0.2.1", remoteport="5080"), [V4])
        lasting.learn(LINK, [])
        await turn()
        assert store.writes == 0
        many: list[Resolved] = [(socket.AF_INET, (f"192.0.2.{number}", 5080)) for number in range(100)]
        lasting.learn(LINK, many)
        known = lasting.known(LINK)
        assert known is not None
        assert list(known.addresses) == many[:MAX_ADDRESSES]
        await turn()
        assert parse(store.text or b"")

    run(steps)


def test_counters_go_on_as_a_link_begins_anew_and_begin_at_nothing_when_forgotten() -> None:
    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        lasting.begin(["lte"], lambda: None)
        lasting.restart("lte", ONE)
        assert lasting.total("lte", ONE) == Counters(2, 4, 6, 8, 10)
        lasting.disable("lte", disabled=True)
        lasting.forget({"lte": ONE})
        assert lasting.total("lte", ONE) == Counters()
        assert not lasting.disabled("lte")
        lasting.note("lte", Counters(2, 2, 3, 4, 5))
        await lasting.close()
        assert (await Lasting.load(store)).total("lte", Counters()) == Counters(1)

    run(steps)


def test_members_of_a_later_program_are_kept() -> None:
    async def steps(store: Store) -> None:
        lasting = await Lasting.load(store)
        lasting.begin(["lte"], lambda: None)
        lasting.disable("lte", disabled=True)
        await lasting.close()
        assert store.document["learnt"] == {"a": 1}
        assert store.document["links"]["lte"] == {"rate": 7, "disabled": True}

    run(steps, written(learnt={"a": 1}, links={"lte": {"rate": 7}}))


def test_without_a_store_it_lasts_as_long_as_the_process() -> None:
    async def steps(_: Store) -> None:
        lasting = Lasting()
        lasting.begin(["lte"], lambda: None)
        lasting.disable("lte", disabled=True)
        assert lasting.disabled("lte")
        await lasting.close()

    run(steps)
