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


@pytest.mark.parametrize(
    ("signature", "body"),
    [("u", ["x"]), ("u", [-1]), ("t", [1 << 64]), ("s", [5]), ("ss", ["x"])],
)
def test_a_wrong_value_is_an_error_of_ours(signature: str, body: list[Any]) -> None:
    with pytest.raises(lib.EncodeError):
        there_and_back(signature, *body)


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
    """The rest takes longer than a whole run of mlvpnctl may, and the package is there for who wants it after us."""
    program = (
        "import sys, mlvpnd.bus.lib;"
        "print([name for name in ('gi', 'asyncio', 'xml', 'inspect') if name in sys.modules]);"
        "import dbus_next; print(dbus_next.Variant is mlvpnd.bus.lib.Variant, dbus_next.aio.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == "[]\nTrue dbus_next.aio\n"


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
