"""How tests run: two at a time where pytest-xdist does that, and a second time where the clock decides.

A test in real time may run a second time: the shared machine may stand still in the middle of the first run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.turns import turn

_TESTS = Path(__file__).parent
IN_REAL_TIME = ("netns", "system", "package", "bus", "unit/support")
"""Folders of tests that wait for processes, sockets and clocks."""
IN_TURN = {"netns": "netns", "system": "containers", "package": "containers"}
"""Folders whose tests run one after another, and the group of each; a module elsewhere is a group of its own."""
LOCKS = _TESTS.parent / "build/tests"
NO_SYSTEM = "MLVPND_NO_SYSTEM"
ONE_RUN = "MLVPND_ONE_RUN"
CONTAINER_PROGRAMS = ("ip", "gcc", "make", "mmdebstrap", "nsenter", "systemd-nspawn", "unshare")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A fault of the program fails both runs; `-ra` names the tests that ran again. ONE_RUN=1 omits the second run."""
    for item in items:
        folder = item.path.relative_to(_TESTS).parts[0]
        item.add_marker(pytest.mark.xdist_group(IN_TURN.get(folder, item.path.stem)))
    if os.environ.get(ONE_RUN) == "1":
        return
    for item in items:
        if any(item.path.is_relative_to(_TESTS / folder) for folder in IN_REAL_TIME):
            item.add_marker(pytest.mark.flaky(reruns=1))


class _Turns:
    """When this process may run tests. Those marked as `quiet` that follow each other have one turn together."""

    def __init__(self) -> None:
        self._quiet: ExitStack | None = None

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        quiet, goes_on = _is_quiet(item), _is_quiet(nextitem)
        held = self._quiet or ExitStack()
        if self._quiet is None:
            held.enter_context(turn(LOCKS, alone=quiet))
        try:
            yield
        finally:
            self._quiet = held if quiet and goes_on else None
            if self._quiet is None:
                held.close()


def _is_quiet(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("quiet") is not None


def pytest_configure(config: pytest.Config) -> None:
    """Where tests run beside each other, they run in turns."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        config.pluginmanager.register(_Turns())


@pytest.fixture(scope="session")
def containers() -> None:
    """For tests that boot containers: fails and names what is missing, unless the tests are to be skipped."""
    if os.environ.get(NO_SYSTEM) == "1":
        pytest.skip(f"{NO_SYSTEM}=1")
    missing = [f"the program {program}" for program in CONTAINER_PROGRAMS if shutil.which(program) is None]
    if os.geteuid():
        missing.append("root")
    if not any(line.split()[2] == "cgroup2" for line in Path("/proc/mounts").read_text().splitlines()):
        missing.append("a mounted cgroup2")
    if missing:
        pytest.fail(f"these tests need {', '.join(missing)}; {NO_SYSTEM}=1 skips them", pytrace=False)
