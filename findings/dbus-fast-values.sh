#!/bin/sh
# dbus-fast 5.2.0 encodes the body of a message without verifying it against the signature. So a text that is no object
# path goes out as one, and a number as a boolean. Its own SignatureTree.verify() refuses both, and dbus-next 0.2.3, whose
# fork it is, calls that before it encodes. The D-Bus specification has a bus end the connection of who sends such a body.
#
# Installs both in a temporary folder, encodes the same three messages with each, and sends nothing. Prints what it saw.
# Exit code 0: as described; 1: another behaviour.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dbus-fast==5.2.0 dbus-next==0.2.3
"$folder/venv/bin/python" - <<'PROGRAM'
import importlib
import importlib.metadata

BODIES = {"fitting": ("o", ["/a/path"]), "no path": ("o", ["a text"]), "no boolean": ("b", [2])}


def outcome(library, signature, body):
    message = importlib.import_module(f"{library}.message").Message
    kind = importlib.import_module(f"{library}.constants").MessageType.SIGNAL
    one = message(message_type=kind, path="/a", interface="a.b", member="C", serial=1, signature=signature, body=body)
    try:
        return f"{len(bytes(one._marshall(negotiate_unix_fd=False)))} bytes"
    except Exception as error:
        return type(error).__name__


def verified(signature, body):
    try:
        importlib.import_module("dbus_fast.signature").SignatureTree(signature).verify(body)
        return "fits"
    except Exception as error:
        return type(error).__name__


seen = {}
for library in ("dbus_fast", "dbus_next"):
    print(library, importlib.metadata.version(library.replace("_", "-")))
    for what, (signature, body) in BODIES.items():
        seen[library, what] = outcome(library, signature, body)
        print(f"  {what}: signature {signature!r}, body {body!r}: {seen[library, what]}")
print("dbus_fast's own verify:", {what: verified(*one) for what, one in BODIES.items()})
taken = {key for key, value in seen.items() if value.endswith("bytes")}
wanted = {("dbus_fast", what) for what in BODIES} | {("dbus_next", "fitting")}
raise SystemExit(0 if taken == wanted else f"another behaviour: {sorted(taken ^ wanted)}")
PROGRAM
