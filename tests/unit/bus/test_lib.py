"""The codec, as far as it is ours."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mlvpnd.bus import lib
from mlvpnd.bus.errors import BusError
from mlvpnd.bus.message import Kind, Message, Splitter


def there_and_back(signature: str, *body: Any) -> list[Any]:
    message = Message(kind=Kind.SIGNAL, serial=1, path="/", interface="a.b", member="C", signature=signature, body=body)
    (received,) = Splitter(65536).feed(lib.encode(message))
    return list(lib.plain(lib.decode(received)))


def test_values_arrive() -> None:
    body = ["é", True, 2**64 - 1, 0.5, ["x", 7], {"k": [1, 2]}]
    assert there_and_back("sbtd(sq)a{sau}", *body) == body


@pytest.mark.parametrize(("text", "arrives"), [("a\0b", "a?b"), ("x\udcff", "x?"), ("\ud800", "?"), ("ok", "ok")])
def test_texts_that_dbus_forbids_are_replaced_everywhere(text: str, arrives: str) -> None:
    variant = lib.Variant("(sas)", [text, [text]])
    assert there_and_back("sa{sv}", text, {text: variant}) == [arrives, {arrives: [arrives, [arrives]]}]


def variant(signature: str, value: object) -> Any:
    """A variant whose value was changed after it was made."""
    made = {"u": 1, "s": "", "o": "/", "as": [], "v": lib.Variant("u", 1), "g": ""}[signature]
    one = lib.Variant(signature, made)
    one.value = value
    return one


def nested(depth: int) -> Any:
    """A variant in a variant, `depth` times."""
    one = lib.Variant("u", 1)
    for _ in range(depth):
        one = lib.Variant("v", one)
    return one


WRONG: dict[str, list[Any]] = {
    "y": [-1, 256, "x", 1.5, None, b"x", [1]],
    "b": [0, 1, "true", None, 0.0, []],
    "n": [-32769, 32768, "1", 1.5, None, []],
    "q": [-1, 65536, "1", 1.5, None, []],
    "i": [-(1 << 31) - 1, 1 << 31, "1", 1.5, None, []],
    "u": [-1, 1 << 32, "1", 1.5, None, []],
    "x": [-(1 << 63) - 1, 1 << 63, "1", 1.5, None, []],
    "t": [-1, 1 << 64, "1", 1.5, None, []],
    "d": ["1", None, [], 10**400],
    "s": [5, None, b"x", [], 1.5, True],
    "o": ["", "x", "/x/", "//", "/x y", "/x\n", "/\u00e9", "/x-y", 5, None, b"/"],
    "g": [
        *("?", "a", "(", "()", "{sv}", "a{vs}", "a{(s)s}", "s" * 256, "u\n", "\u00e9", 5, None),
        *("a" * 40 + "s", "(" * 40 + "s" + ")" * 40),
    ],
    "h": [-1, "x", None, 1.5],
    "as": ["x", [1], ["x", None], None, 5, {"x": "y"}, b"x", [["x"]]],
    "ay": ["x", 5, None, {}],
    "ao": [["x"], ["/", "/x\n"], "/", {"/": 1}],
    "aas": [["x"], [[1]], [[["x"]]]],
    "a{sv}": [{"x": 1}, {1: lib.Variant("u", 1)}, [], None, "x", {"x": None}],
    "a{oa{sv}}": [{"x": {}}, {"/": {"x": 1}}, {"/x\n": {}}, {"/": None}],
    "(su)": [["x"], ["x", 1, 2], ["x", -1], [1, "x"], "xy", None, 5],
    "v": [
        *(1, "x", None, [], nested(70)),
        *(variant("u", "x"), variant("u", -1), variant("o", "x"), variant("as", [1]), variant("s", None)),
        *(variant("v", 5), variant("g", "("), variant("v", variant("u", -1))),
    ],
}
"""Values that do not fit, by signature."""


@pytest.mark.parametrize(
    ("signature", "value"), [(signature, value) for signature, values in WRONG.items() for value in values], ids=repr
)
def test_a_value_that_does_not_fit_is_refused_before_the_wire(signature: str, value: object) -> None:
    """A bus ends the connection of a client that sends a wrong value."""
    for whole, body in (
        (signature, [value]),
        (f"s{signature}", ["x", value]),
        (f"({signature}s)", [[value, "x"]]),
        (f"a{signature}", [[value]]),
        (f"a{{s{signature}}}", [{"x": value}]),
    ):
        with pytest.raises(lib.EncodeError):
            there_and_back(whole, *body)


@pytest.mark.parametrize(
    ("signature", "body"), [("ss", ["x"]), ("s", []), ("", ["x"]), ("s", ["x", "y"]), ("{sv}", [{}]), ("()", [[]])]
)
def test_a_signature_that_is_none_or_does_not_fit(signature: str, body: list[Any]) -> None:
    with pytest.raises(lib.EncodeError):
        there_and_back(signature, *body)


@pytest.mark.parametrize(
    ("signature", "value"),
    [
        *(
            ("y", 255),
            ("n", -32768),
            ("q", 65535),
            ("i", -(1 << 31)),
            ("u", (1 << 32) - 1),
            ("x", -(1 << 63)),
            ("t", 0),
        ),
        *(("d", 1), ("d", -0.5), ("b", False), ("s", ""), ("o", "/"), ("o", "/a_1/B"), ("g", ""), ("g", "a{sv}(ii)")),
        *(("as", []), ("ao", ["/"]), ("a{sv}", {}), ("(s(ub))", ["x", [1, True]])),
    ],
)
def test_a_value_that_fits_arrives(signature: str, value: object) -> None:
    assert there_and_back(signature, value) == [value]


CALL = Message(kind=Kind.CALL, serial=1, path="/", member="M")


@pytest.mark.parametrize(
    "message",
    [
        *(CALL._replace(path=path) for path in ("no path", "", "/x/", "/x\n", "//x")),
        *(CALL._replace(member=member) for member in ("", "a.b", "1a", "M\n", "M" * 256)),
        *(CALL._replace(interface=interface) for interface in ("a", "a..b", ".a.b", "a.b\n", "a.1b", "a." + "b" * 254)),
        *(CALL._replace(destination=name) for name in ("a", "a..b", ":1", "a.b\n", "a.1", "a." + "b" * 254)),
        *(CALL._replace(serial=serial) for serial in (0, -1, 1 << 32)),
        Message(kind=Kind.RETURN, serial=1),
        Message(kind=Kind.ERROR, serial=1, reply_serial=1),
        Message(kind=Kind.ERROR, serial=1, reply_serial=1, error_name="a"),
        Message(kind=Kind.ERROR, serial=1, error_name="a.b"),
        Message(kind=Kind.SIGNAL, serial=1, path="/", member="M"),
    ],
    ids=repr,
)
def test_a_header_that_is_none_is_refused_before_the_wire(message: Message) -> None:
    lib.encode(CALL)
    with pytest.raises(lib.EncodeError):
        lib.encode(message)


def test_a_wrong_name_is_an_error_of_ours() -> None:
    with pytest.raises(lib.EncodeError):
        lib.encode(Message(kind=Kind.CALL, serial=1, path="no path", member="M"))


def test_a_body_that_is_not_what_its_signature_says() -> None:
    message = Message(kind=Kind.CALL, serial=1, path="/", member="M", signature="s", body=["xyz"])
    encoded = bytearray(lib.encode(message))
    encoded[-8:-4] = b"\xff\xff\xff\x7f"
    (received,) = Splitter(65536).feed(bytes(encoded))
    with pytest.raises(lib.DecodeError):
        lib.decode(received)


def test_flags_do_not_matter_to_the_body() -> None:
    message = Message(kind=Kind.CALL, serial=1, path="/", member="M", signature="s", body=["xyz"])
    encoded = bytearray(lib.encode(message))
    encoded[2] = 0xFF
    (received,) = Splitter(65536).feed(bytes(encoded))
    assert lib.decode(received) == ["xyz"]


def test_only_the_codec_is_imported() -> None:
    """The rest takes longer to import than a whole run of mlvpnctl may.

    Later code can still import the whole package.
    """
    library = lib.Variant.__module__.partition(".")[0]  # dbus_next or dbus_fast
    program = (
        "import sys, mlvpnd.bus.lib;"
        "print([name for name in ('gi', 'asyncio', 'xml', 'inspect') if name in sys.modules]);"
        f"import {library} as whole, {library}.aio; print(whole.Variant is mlvpnd.bus.lib.Variant, whole.aio.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == f"[]\nTrue {library}.aio\n"


def test_answers() -> None:
    def received(message: Message) -> Message:
        (one,) = Splitter(65536).feed(lib.encode(message))
        return one

    call = Message(kind=Kind.CALL, member="Ask")
    answer = Message(kind=Kind.RETURN, serial=1, reply_serial=1, signature="s", body=["x"])
    assert lib.answered(call, received(answer)) == ["x"]
    error = Message(kind=Kind.ERROR, serial=1, reply_serial=1, error_name="a.b", signature="s", body=["why"])
    for message, name, text in ((error, "a.b", "why"), (error._replace(signature="", body=()), "a.b", "")):
        with pytest.raises(BusError) as caught:
            lib.answered(call, received(message))
        assert (caught.value.name, caught.value.text) == (name, text)
    with pytest.raises(BusError, match="Ask: the body is too large"):
        lib.answered(call, answer)
