"""What documents name exists: tests that hold a decision or a bound, files, other documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.linkemu import PROJECT

DOCUMENTS = sorted((PROJECT / "docs").rglob("*.md")) + sorted(PROJECT.glob("*.md"))
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")
_PATH = re.compile(r"`([a-z_]+(?:/[\w.-]+)*/[\w.@-]+\.(?:py|c|h|xml|scd|toml))`")
"""A file of the tree."""
_OTHERS = ("net/ipv4/", "net/ipv6/", "net/core/", "include/net/")
"""Where the kernel has files of its own."""
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def named_tests() -> Iterator[tuple[str, str, str]]:
    """Document, test file and test; the test is empty where the whole file is named."""
    for document in DOCUMENTS:
        for file, test in _TEST.findall(document.read_text()):
            yield document.name, file, test


def test_every_test_that_a_document_names_is_there() -> None:
    found = list(named_tests())
    assert found
    for document, file, test in found:
        path = PROJECT / file
        assert path.is_file(), f"{document}: {file}"
        assert not test or f"def {test}(" in path.read_text(), f"{document}: {file}::{test}"


@pytest.mark.parametrize("document", sorted((PROJECT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem)
def test_every_decision_has_a_rule_and_a_test(document: Path) -> None:
    _, *decisions = document.read_text().split("\n## ")
    assert decisions
    for decision in decisions:
        title = decision.partition("\n")[0]
        assert "- **Rule**: " in decision, title
        assert _TEST.search(decision.partition("- **Held by**: ")[2]), title


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    for name in _PATH.findall(document.read_text()):
        if not name.startswith(_OTHERS):
            assert (PROJECT / name).exists() or (PROJECT / "mlvpnd" / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), target
