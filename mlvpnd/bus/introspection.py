"""The interfaces, read from their XML at this module's import, and the answer to `Introspect`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
EMITS_CHANGED = "org.freedesktop.DBus.Property.EmitsChangedSignal"


@dataclass(frozen=True, slots=True)
class Method:
    """An interface's method: the signatures of its arguments and return values."""

    in_signature: str
    out_signature: str


@dataclass(frozen=True, slots=True)
class Property:
    """An interface's property."""

    type: str
    writable: bool
    emits: str
    """`true`: PropertiesChanged tells its new value; `false`: no signal tells; `const`: it does not change."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface's members by name."""

    name: str
    methods: Mapping[str, Method]
    properties: Mapping[str, Property]
    signals: Mapping[str, str]
    """Each with its signature."""
    xml: str
    """The element as in the file."""


def _load() -> dict[str, Interface]:
    folder = resources.files(__package__) / "interfaces"
    texts = [file.read_text() for file in folder.iterdir() if file.name.endswith(".xml")]
    found = (_interface(element) for text in texts for element in ET.fromstring(text).iter("interface"))  # noqa: S314  (our own)
    return {interface.name: interface for interface in found}


def _interface(element: ET.Element) -> Interface:
    return Interface(
        name=element.attrib["name"],
        methods={
            method.attrib["name"]: Method(_signature(method, "in"), _signature(method, "out"))
            for method in element.iter("method")
        },
        properties={
            one.attrib["name"]: Property(one.attrib["type"], one.attrib["access"] == "readwrite", _emits(one))
            for one in element.iter("property")
        },
        signals={signal.attrib["name"]: _signature(signal) for signal in element.iter("signal")},
        xml=ET.tostring(element, encoding="unicode").rstrip(),
    )


def _signature(element: ET.Element, direction: str | None = None) -> str:
    arguments = (one.attrib for one in element.iter("arg"))
    return "".join(one["type"] for one in arguments if one.get("direction") == direction)


def _emits(element: ET.Element) -> str:
    return next(one.attrib["value"] for one in element.iter("annotation") if one.attrib["name"] == EMITS_CHANGED)


INTERFACES: Mapping[str, Interface] = _load()


def document(interfaces: Iterable[str], children: Iterable[str]) -> str:
    """The XML of a node with these interfaces and these child elements of its path."""
    parts = [f"  {INTERFACES[name].xml}" for name in interfaces]
    parts += [f'  <node name="{child}"/>' for child in children]
    return DOCTYPE + "<node>\n" + "\n".join(parts) + "\n</node>\n"
