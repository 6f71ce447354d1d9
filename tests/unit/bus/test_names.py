"""Names and paths."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.bus import names


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("", "_"),
        ("adsl1", "adsl1"),
        ("adsl-2", "adsl_2d2"),
        ("3g", "_33g"),
        ("a3", "a3"),
        ("a_b", "a_5fb"),
        ("é", "_c3_a9"),
        ("\udcff", "_ff"),
        ("²", "_c2_b2"),
        (" .", "_20_2e"),
    ],
)
def test_escape_is_that_of_sd_bus_path_encode(text: str, escaped: str) -> None:
    assert names.escape(text) == escaped


@given(st.text(), st.text())
def test_escape_gives_one_element_to_each_text(one: str, other: str) -> None:
    def escape(text: str) -> str:
        return names.escape(text.encode(errors="surrogatepass").decode(errors="surrogateescape"))

    assert re.fullmatch("[A-Za-z0-9_]+", escape(one))
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize(
    ("instance", "name"),
    [
        ("mlvpn0", "org.mlvpn1.Tunnel.mlvpn0"),
        ("my-vpn_2", "org.mlvpn1.Tunnel.my-vpn_2"),
        ("0abc", "org.mlvpn1.Tunnel._30abc"),
        ("a.b", "org.mlvpn1.Tunnel.a_2eb"),
        ("", "org.mlvpn1.Tunnel._"),
    ],
)
def test_the_name_of_an_instance(instance: str, name: str) -> None:
    assert names.tunnel_name(instance) == name


def test_paths() -> None:
    assert names.tunnel_path("a-b") == "/org/mlvpn1/tunnel/a_2db"
    assert names.link_path("a-b", "3g") == "/org/mlvpn1/tunnel/a_2db/link/_33g"
