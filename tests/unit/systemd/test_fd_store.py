"""What outlives the process: descriptors by name, and a memory that survives a kill in the middle of a write."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator

import pytest

from mlvpnd.systemd import notify
from mlvpnd.systemd.fd_store import PLACE_SIZE, Keeper
from tests.support.fd_store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as store:
        yield store


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    return caplog


def damage(store: Store, turn: int) -> None:
    """Cuts in the middle what a turn wrote, as a kill does."""
    os.pwrite(store.kept[notify.SESSION], b"\0\0", turn % 2 * PLACE_SIZE + 40)


def test_the_next_process_finds_what_was_saved_last(store: Store) -> None:
    first = Keeper(store.service())
    assert first.load() is None
    for number in range(5):
        first.save({"number": number, "text": "é\n"})
    found = Keeper(store.service()).load()
    assert found is not None
    memory, elapsed = found
    assert memory == {"number": 4, "text": "é\n"}
    assert 0 <= elapsed < 5


def test_time_goes_on_between_the_processes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    Keeper(store.service()).save({})
    monkeypatch.setattr(time, "monotonic", lambda: 107.5)
    assert Keeper(store.service()).load() == ({}, 7.5)


def test_a_write_that_was_cut_off_leaves_the_one_before(store: Store) -> None:
    first = Keeper(store.service())
    for number in range(1, 4):
        first.save({"number": number})
    damage(store, 3)
    second = Keeper(store.service())
    found = second.load()
    assert found is not None
    assert found[0] == {"number": 2}
    second.save({"number": 30})
    second.save({"number": 40})
    found = Keeper(store.service()).load()
    assert found is not None
    assert found[0] == {"number": 40}


def test_both_places_damaged_is_nothing_kept(store: Store) -> None:
    first = Keeper(store.service())
    first.save({"number": 1})
    first.save({"number": 2})
    damage(store, 1)
    damage(store, 2)
    assert Keeper(store.service()).load() is None


def test_what_is_no_memory_of_ours_is_nothing_kept(store: Store) -> None:
    read, write = os.pipe()
    store.kept[notify.SESSION] = os.dup(read)
    os.close(read)
    os.close(write)
    assert Keeper(store.service()).load() is None


def test_a_memory_that_is_no_table_is_nothing_kept(store: Store) -> None:
    Keeper(store.service()).save([1, 2])  # type: ignore[arg-type]
    assert Keeper(store.service()).load() is None


def test_a_save_that_fails_is_told_once_and_disturbs_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture
) -> None:
    first = Keeper(store.service())
    first.save({"number": 1})
    first.save({"number": 2})

    def full(_descriptor: int, _data: bytes, _offset: int) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(os, "pwrite", full)
        first.save({"number": 3})
        first.save({"number": 4})
    assert lines.messages == ["the session cannot be kept for a restart: No space left on device"]
    found = Keeper(store.service()).load()
    assert found is not None
    assert found[0] == {"number": 2}
    first.save({"number": 5})
    found = Keeper(store.service()).load()
    assert found is not None
    assert found[0] == {"number": 5}


def test_half_a_save_spares_the_good_place(
    store: Store, monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture
) -> None:
    first = Keeper(store.service())
    first.save({"number": 1})
    pwrite = os.pwrite
    with monkeypatch.context() as failing:
        failing.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:40], offset))
        for number in range(2, 6):
            first.save({"number": number})
    assert len(lines.messages) == 1
    found = Keeper(store.service()).load()
    assert found is not None
    assert found[0] == {"number": 1}


def test_more_than_a_place_holds_is_not_written(store: Store, lines: pytest.LogCaptureFixture) -> None:
    first = Keeper(store.service())
    first.save({"number": 1})
    first.save({"text": "x" * PLACE_SIZE})
    assert lines.messages == ["the session cannot be kept for a restart: File too large"]
    found = Keeper(store.service()).load()
    assert found is not None
    assert found[0] == {"number": 1}


def test_descriptors_are_stored_and_forgotten_by_name(store: Store) -> None:
    keeper = Keeper(store.service())
    store.said.clear()
    with open(os.devnull) as null:
        keeper.store("link.adsl1", null.fileno())
    keeper.forget("link.adsl1")
    keeper.forget("link.adsl1")
    keeper.forget("link.never")
    assert store.said == ["FDSTORE=1\nFDNAME=link.adsl1\nFDPOLL=0", "FDSTOREREMOVE=1\nFDNAME=link.adsl1"]
    keeper.forget_inherited("link.adsl2")
    assert store.said[2:] == ["FDSTOREREMOVE=1\nFDNAME=link.adsl2"]
