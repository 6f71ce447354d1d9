"""The table agrees with the model, the parser and `changes`."""

from __future__ import annotations

import dataclasses

import pytest

from mlvpnd.config import Config, LinkConfig
from mlvpnd.config.changes import Changes, compare
from mlvpnd.config.schema import GENERAL_KEYS, LINK_KEYS, Key, ReloadEffect, spellings
from tests.support.configs import errors_of, good

BASE_GENERAL = {"mode": "client", "password": "x"}
BASE_LINK = {"bindport": "1", "remotehost": "h", "remoteport": "2"}

# Two values for each key, both good and different in effect.
GENERAL_VALUES = {
    "mode": ("client", "server"),
    "password": ("a", "b"),
    "statuscommand": ("/a", "/b"),
    "interface_name": ("a", "b"),
    "tuntap": ("tun", "tap"),
    "timeout": ("5", "6"),
    "cleartext_data": ("0", "1"),
    "reorder_buffer_size": ("0", "64"),
    "loss_tolerence": ("5", "6"),
    "latency_tolerence": ("5", "6"),
    "mtu": ("1400", "0"),
    "mss_clamp": ("off", "1360"),
    "ip4": ("10.0.0.1/24", "10.0.0.2/24"),
    "ip6": ("fd00::1/64", "fd00::2/64"),
    "ip4_gateway": ("10.0.0.1", "10.0.0.2"),
    "ip6_gateway": ("fd00::1", "fd00::2"),
    "ip4_routes": ("10.0.0.0/8", "10.0.0.0/8 11.0.0.0/8"),
    "ip6_routes": ("fd00::/64", "fd00::/64 fd01::/64"),
    "configure_interface": ("0", "1"),
    "kill_switch": ("0", "1"),
    "control_unix_path": ("/a", "/b"),
    "control_bind_host": ("h", "i"),
    "control_bind_port": ("1", "2"),
    "pacing": ("auto", "off"),
    "peer": ("any", "mlvpnd"),
    "data_plane": ("native", "reference"),
}
LINK_VALUES = {
    "bindhost": ("h", "i"),
    "bindport": ("1", "2"),
    "binddevice": ("a", "b"),
    "bindfib": ("0", "1"),
    "remotehost": ("h", "i"),
    "remoteport": ("1", "2"),
    "bandwidth_upload": ("1", "2"),
    "timeout": ("5", "6"),
    "loss_tolerence": ("5", "6"),
    "latency_tolerence": ("5", "6"),
    "fallback_only": ("0", "1"),
    "priority": ("0", "255"),
}


def config(general: dict[str, str] | None = None, link: dict[str, str] | None = None) -> Config:
    lines = ["[general]", *(f'{key} = "{value}"' for key, value in (BASE_GENERAL | (general or {})).items())]
    lines += ["[a]", *(f'{key} = "{value}"' for key, value in (BASE_LINK | (link or {})).items())]
    assert errors_of("\n".join(lines), strict=True) == []
    return good("\n".join(lines)).config


def effects(key: Key, changes: Changes) -> set[ReloadEffect]:
    """Every effect that `changes` reports; each must be an effect of this key."""
    found = set()
    for effect, names in (
        (ReloadEffect.AT_ONCE, changes.at_once),
        (ReloadEffect.INTERFACE, changes.interface),
        (ReloadEffect.NOT_APPLIED, changes.not_applied),
        *((ReloadEffect.LINK_IN_PLACE, link.keys) for link in changes.updated),
        *((ReloadEffect.LINK_RESTART, link.keys) for link in changes.restarted if not changes.mode),
    ):
        if names:
            assert names == (key.name,)
            found.add(effect)
    if changes.mode:
        assert [link.keys for link in changes.restarted] == [()]
        found.add(ReloadEffect.ALL_LINKS_RESTART)
    assert not changes.added
    assert not changes.removed
    assert not changes.filters
    assert not changes.rules
    return found


@pytest.mark.parametrize("key", GENERAL_KEYS, ids=lambda key: key.name)
def test_general_keys_do_at_a_reload_what_the_table_says(key: Key) -> None:
    first, second = (config(general={key.name: value}) for value in GENERAL_VALUES[key.name])
    assert getattr(first, key.field) != getattr(second, key.field)
    # A default acts on the links: there it is a change of the links' own key.
    expected = ReloadEffect.LINK_IN_PLACE if key.reload is ReloadEffect.LINK_DEFAULT else key.reload
    assert effects(key, compare(first, second)) == {expected}


@pytest.mark.parametrize("key", LINK_KEYS, ids=lambda key: key.name)
def test_link_keys_do_at_a_reload_what_the_table_says(key: Key) -> None:
    first, second = (config(link={key.name: value}) for value in LINK_VALUES[key.name])
    assert getattr(first.links[0], key.field) != getattr(second.links[0], key.field)
    assert effects(key, compare(first, second)) == {key.reload}


def test_table_and_model_have_the_same_keys() -> None:
    assert {key.field for key in GENERAL_KEYS} == {one.name for one in dataclasses.fields(Config)} - {
        "links",
        "filters",
        "rules",
    }
    assert {key.field for key in LINK_KEYS} == {one.name for one in dataclasses.fields(LinkConfig)} - {"name", "line"}


def test_every_spelling_belongs_to_one_key() -> None:
    for keys in (GENERAL_KEYS, LINK_KEYS):
        assert len(spellings(keys)) == sum(2 if key.alias else 1 for key in keys)


def test_defaults_are_the_models() -> None:
    unset = config()
    defaults = {key.name: key.default for key in GENERAL_KEYS if key.default}
    assert config(general=defaults) == unset
    assert config(link={key.name: key.default for key in LINK_KEYS if key.default}) == unset
    assert unset == Config(
        mode=unset.mode,
        password=b"x",
        links=(LinkConfig("a", bindport="1", remotehost="h", remoteport="2"),),
    )


def test_aliases_mean_the_same() -> None:
    for key in GENERAL_KEYS:
        if key.alias:
            assert config(general={key.alias: "7"}) == config(general={key.name: "7"}) != config()
    for key in LINK_KEYS:
        if key.alias:
            assert config(link={key.alias: "7"}) == config(link={key.name: "7"}) != config()


def test_what_is_new_is_marked() -> None:
    assert {key.name for key in GENERAL_KEYS + LINK_KEYS if not key.upstream} == {
        "configure_interface",
        "kill_switch",
        "binddevice",
        "pacing",
        "peer",
        "data_plane",
        "mss_clamp",
        "priority",
    }
