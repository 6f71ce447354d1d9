from __future__ import annotations

import pytest

from mlvpnd.base import instance


@pytest.mark.parametrize("name", ["mlvpn0", "srv-1", "a.b", "a:b", "a_b", "0", "-"])
def test_names(name: str) -> None:
    assert instance.is_name(name)
    assert instance.config_path(name) == f"/etc/mlvpn/{name}.conf"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../x", "a@b", "a\n", "ä", "a\\x2d", "%i"])
def test_what_systemd_would_escape(name: str) -> None:
    assert not instance.is_name(name)
