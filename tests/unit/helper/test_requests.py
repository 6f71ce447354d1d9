import json

import pytest

from mlvpnd.helper import requests
from mlvpnd.helper.requests import End, Refused, Request, ScriptEvent

GOOD: list[tuple[Request, str]] = [
    (requests.OpenConfig(), '{"op": "open-config"}'),
    (requests.OpenTun(), '{"op": "open-tun"}'),
    (requests.ConfigureTun(ipv6_path=True), '{"op": "configure-tun", "ipv6_path": true}'),
    (
        requests.ConfigureTun(ipv6_path=False, default_routes=False),
        '{"op": "configure-tun", "ipv6_path": false, "default_routes": false}',
    ),
    (requests.UnconfigureTun(), '{"op": "unconfigure-tun"}'),
    (requests.TuneSocket("adsl1"), '{"op": "tune-socket", "link": "adsl1"}'),
    (requests.BindSocket("ä\udcff"), '{"op": "bind-socket", "link": "\\u00e4\\udcff"}'),
    (
        requests.RunScript(ScriptEvent.RTUN_UP, "adsl1"),
        '{"op": "run-script", "event": "rtun_up", "link": "adsl1"}',
    ),
    (requests.RunScript(ScriptEvent.TUNTAP_DOWN), '{"op": "run-script", "event": "tuntap_down"}'),
    (requests.Resolve(End.REMOTE, "adsl1"), '{"op": "resolve", "end": "remote", "link": "adsl1"}'),
    (requests.Resolve(End.CONTROL), '{"op": "resolve", "end": "control"}'),
    (requests.OpenControl(), '{"op": "open-control"}'),
    (requests.OpenLog(), '{"op": "open-log"}'),
    (requests.ReadState(), '{"op": "read-state"}'),
    (requests.WriteState(), '{"op": "write-state"}'),
]


@pytest.mark.parametrize(("request_", "text"), GOOD, ids=[text for _, text in GOOD])
def test_each_request_has_one_message(request_: Request, text: str) -> None:
    assert requests.encode(request_) == text.encode()
    assert requests.parse(text.encode(), request_.DESCRIPTORS) == request_


def test_the_table_is_complete() -> None:
    assert {type(request) for request, _ in GOOD} == set(requests.TABLE.values())


def test_the_table_is_divided_between_the_services() -> None:
    by_hand_only = {
        requests.Resolve,
        requests.OpenControl,
        requests.OpenLog,
        requests.ReadState,
        requests.WriteState,
    }
    assert requests.BY_HAND == set(requests.TABLE.values())
    assert requests.SCRIPT == {requests.RunScript}
    assert requests.HELPER == requests.BY_HAND - requests.SCRIPT - by_hand_only


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"op": "open-config"', "not JSON"),
        (b"[" * 4000, "not JSON"),
        (b"7", "not an object"),
        (b'["open-config"]', "not an object"),
        (b"{}", "unknown op None"),
        (b'{"op": ["open-config"]}', "unknown op"),
        (b'{"op": "open-shell"}', "unknown op 'open-shell'"),
        (b'{"op": "open-config", "op": "open-tun"}', "a key is repeated"),
        (b'{"op": "open-config", "path": "/etc/shadow"}', "unknown field 'path'"),
        (b'{"op": "open-tun", "name": "eth0"}', "unknown field 'name'"),
        (b'{"op": "configure-tun"}', "ipv6_path is missing"),
        (b'{"op": "configure-tun", "ipv6_path": 1}', "not a boolean"),
        (b'{"op": "run-script", "event": "rtun_up", "link": 3}', "not a text"),
        (b'{"op": "run-script", "event": "rtun_up", "link": null}', "not a text"),
        (b'{"op": "run-script", "event": "rtun_up"}', "rtun events need a link"),
        (b'{"op": "run-script", "event": "tuntap_up", "link": "adsl1"}', "rtun events need a link"),
        (b'{"op": "run-script", "event": "reboot"}', "unknown event"),
        (b'{"op": "run-script", "event": {"a": []}}', "not a text"),
        (b'{"op": "run-script", "event": "tuntap_up", "environment": {}}', "unknown field"),
        (b'{"op": "resolve", "end": "remote"}', "bind and remote need a link"),
        (b'{"op": "resolve", "end": "control", "link": "adsl1"}', "bind and remote need a link"),
        (b'{"op": "resolve", "end": "www.example.org"}', "unknown end"),
        (b'{"op": "resolve", "host": "www.example.org"}', "unknown field 'host'"),
        (b'{"op": "open-config"' + b" " * 4096 + b"}", "too long"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_anything_else_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        requests.parse(data, 1 if b"configure-tun" in data or b"run-script" in data else 0)


@pytest.mark.parametrize(("request_", "text"), GOOD, ids=[text for _, text in GOOD])
def test_the_number_of_descriptors_is_fixed(request_: Request, text: str) -> None:
    with pytest.raises(Refused, match="descriptors instead of"):
        requests.parse(text.encode(), 1 - request_.DESCRIPTORS)


def test_the_reason_is_short_and_printable() -> None:
    with pytest.raises(Refused) as refused:
        requests.parse(json.dumps({"op": "\n\x1b[2J" * 300}).encode(), 0)
    assert len(str(refused.value)) < 120
    assert str(refused.value).isprintable()
