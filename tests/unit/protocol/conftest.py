"""Tests of code that has a native twin run on both twins."""

from __future__ import annotations

import pytest

from tests.support.twins import on_both, twin

__all__ = ["twin"]

REACHED = {
    "test_damping": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_handshake": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_handshake_one_way": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_retransmissions_overflow": ("mlvpnd.protocol.sending.sender",),
    "test_sender": ("mlvpnd.protocol.sending.sender",),
    "test_session": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_session_attacks": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_session_clear": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_session_cuts": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_session_disabled": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_session_links": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_session_pair": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_session_quality": ("tests.support.session_pair", "tests.support.hand_peer"),
    "test_session_stamps": ("tests.support.session_pair", "tests.support.hand_peer"),
}
"""Test modules that reach code with a twin by the names that other modules import, and these other modules."""
REFERENCE_ONLY = frozenset(
    {"test_line", "test_outbox", "test_path", "test_quality", "test_selection", "test_gate", "test_resume"}
)
"""Test modules that look into what a twin keeps for itself, or at code that has no twin."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_both(metafunc, REACHED, but=REFERENCE_ONLY)
