"""The daemon as `mlvpn@NAME.service`: what systemd hands over. By hand the parent does this.

The unit is the sandbox: no privilege, no device. The daemon makes no chroot of its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from mlvpnd.base.instance import config_path, credential_of, given_state_directory, is_name
from mlvpnd.base.options import Options
from mlvpnd.errors import MlvpndError

from . import notify

PRIVATE_SOCKET = "private.sock"
"""A socket in the instance's runtime directory: status, and reload for root and the daemon's own user."""


@dataclass(slots=True)
class Service:
    """What the service manager gave to this process."""

    instance: str
    notifier: notify.Notifier
    descriptors: dict[str, list[int]] = field(default_factory=dict)
    """Inherited descriptors by name; whoever uses one takes it out."""
    password: bytes | None = None
    """From the credential `mlvpn.NAME.password`; used instead of the file's."""
    state_directory: str = ""
    """What `StateDirectory=` gives; empty: nothing."""

    def take(self, name: str) -> int | None:
        """A descriptor of that name, which the caller then owns; None: there is none."""
        found = self.descriptors.get(name)
        return found.pop() if found else None

    def take_all(self, name: str) -> list[int]:
        """All descriptors of that name, which the caller then owns."""
        return self.descriptors.pop(name, [])

    def close_rest(self, *, but: str = "") -> None:
        """Closes descriptors that nobody took and removes them from the store; the name `but` is taken later."""
        for name in [name for name in self.descriptors if name != but]:
            descriptors = self.take_all(name)
            for descriptor in descriptors:
                os.close(descriptor)
            if descriptors and name not in (notify.ACTIVATED, notify.CONTROL):  # these belong to socket units
                self.notifier.forget(name)


def credential(instance: str) -> bytes | None:
    """The password that systemd decrypted for this service, without a final newline; None if there is none."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    try:
        text = (Path(directory) / credential_of(instance)).read_bytes()
    except FileNotFoundError:
        return None
    return text.removesuffix(b"\n") or None


def gather(instance: str) -> Service:
    """Takes over what systemd handed to this process."""
    notifier = notify.Notifier(notify.send if os.environ.get("NOTIFY_SOCKET") else None)
    descriptors: dict[str, list[int]] = {}
    for descriptor, name in notify.inherited().items():
        os.set_inheritable(descriptor, False)  # noqa: FBT003  (the standard library's signature)
        descriptors.setdefault(name, []).append(descriptor)
    return Service(instance, notifier, descriptors, credential(instance), given_state_directory())


def options(instance: str) -> Options:
    """The options that a command line would give by hand. Raises MlvpndError if `instance` is no valid name."""
    if not is_name(instance):
        raise MlvpndError(f"{instance!r} is not the name of a tunnel; allowed: letters, digits and :_.-")
    return Options(config_path=config_path(instance), name=instance)
