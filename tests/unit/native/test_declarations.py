from __future__ import annotations

from mlvpnd.native import declarations as described
from mlvpnd.native.declarations import NATIVE, ONLY_FOR_C, declarations, headers, source


def test_all_headers_are_declared_behind_what_they_include() -> None:
    found = headers()
    assert {*found} == {str(path.relative_to(NATIVE)) for path in NATIVE.rglob("*.h")} - ONLY_FOR_C
    for at, header in enumerate(found):
        for included in described._INCLUDE.findall((NATIVE / header).read_text()):
            assert included in {*found[:at], *ONLY_FOR_C}, f"{header} comes before {included}"


def test_what_cffi_does_not_read_is_left_out() -> None:
    text = declarations()
    for left_out in ("#", "/*", "static", "return", "__int128", "weighted_time"):
        assert left_out not in text, left_out
    assert "struct packet *packet_list_pop(struct packet_list *list);" in text  # its body stands in the header


def test_each_header_is_included() -> None:
    assert [line.split('"')[1] for line in source().splitlines() if '"' in line] == headers()
