"""System calls fail, and memory is missing: what was lost is lost, but the tunnel goes on, and nothing leaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from mlvpnd.config.model import DataPlane
from tests.support import failing
from tests.support.failing import Kind
from tests.support.linkemu import PROJECT

from .failing_program import CASES, Case

LIMIT = 110


@cache
def outcomes(plane: DataPlane) -> dict[str, dict[str, Any]]:
    """The outcomes of all cases on a twin, by the name of the case."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.dataplane.failing_program", plane.value],
        cwd=PROJECT,
        env={**os.environ, "LD_PRELOAD": failing.in_front()},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("plane", DataPlane, ids=lambda plane: str(plane.value))
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_the_tunnel_outlives_calls_that_fail(case: Case, plane: DataPlane) -> None:
    outcome = outcomes(plane)[case.name]
    # The reference has no memory of its own that could be missing.
    if case.kind is not Kind.MEMORY or (plane is DataPlane.NATIVE and not failing.SANITIZED):
        assert outcome["failed"] > 0, "nothing failed: the test is of no use"
    assert outcome["passes"]
    assert outcome["faults"] == []
    assert outcome["descriptors"] == 0
