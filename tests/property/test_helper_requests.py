"""Any bytes are a request of the table or are refused; nothing else comes out of the helper's parser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlvpnd.helper import requests
from mlvpnd.helper.requests import End, Refused, Request, ScriptEvent

texts = st.text(max_size=40)
links = st.one_of(texts, st.sampled_from(["adsl1", "\udcff", "\0", "../../etc/passwd"]))
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
honest: st.SearchStrategy[Request] = st.one_of(
    st.sampled_from([requests.OpenConfig(), requests.OpenTun(), requests.OpenControl(), requests.OpenLog()]),
    st.just(requests.UnconfigureTun()),
    st.builds(requests.ConfigureTun, ipv6_path=st.booleans()),
    st.builds(requests.TuneSocket, link=links),
    st.builds(requests.BindSocket, link=links),
    st.builds(requests.RunScript, st.sampled_from([ScriptEvent.RTUN_UP, ScriptEvent.RTUN_DOWN]), links),
    st.builds(requests.RunScript, st.sampled_from([ScriptEvent.TUNTAP_UP, ScriptEvent.TUNTAP_DOWN])),
    st.builds(requests.Resolve, st.sampled_from([End.BIND, End.REMOTE]), links),
    st.just(requests.Resolve(End.CONTROL)),
)
names = st.sampled_from(["op", "link", "event", "end", "ipv6_path", "path", "name"])
almost = st.dictionaries(
    names,
    st.one_of(values, st.sampled_from([*requests.TABLE, *(event.value for event in ScriptEvent), "remote"])),
)


def _parse(data: bytes, descriptors: int) -> Request | None:
    try:
        return requests.parse(data, descriptors)
    except Refused as error:
        reason = str(error)
    assert reason.isprintable()
    assert len(reason) < 200
    return None


@given(honest)
def test_what_is_encoded_is_parsed(request: Request) -> None:
    data = requests.encode(request)
    assert len(data) <= requests.MAX_REQUEST_SIZE
    assert requests.parse(data, request.DESCRIPTORS) == request


@given(st.binary(max_size=5000), st.integers(0, 2))
@example(b"[" * 4096, 0)
@example(b'{"op":' * 700, 0)
@example(b'{"op": "open-config", "ipv6_path": NaN}', 0)
@example(b"9" * 4096, 0)
def test_any_bytes(data: bytes, descriptors: int) -> None:
    _parse(data, descriptors)


@given(almost, st.integers(0, 2))
def test_any_object(members: dict[str, Any], descriptors: int) -> None:
    """An accepted object has exactly the fields of its class, of their types, and the right number of descriptors."""
    request = _parse(json.dumps(members).encode(), descriptors)
    if request is not None:
        assert json.loads(requests.encode(request)) == members
        assert descriptors == request.DESCRIPTORS


@given(honest, names, values)
def test_one_field_more_is_refused(request: Request, name: str, value: Any) -> None:
    members = json.loads(requests.encode(request))
    if name in members:
        data = requests.encode(request)[:-1] + b', "%s": %s}' % (name.encode(), json.dumps(value).encode())
    else:
        data = json.dumps({**members, name: value}).encode()
    with pytest.raises(Refused):
        requests.parse(data, request.DESCRIPTORS)
