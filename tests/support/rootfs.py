"""Root directories of Debian for nodes: made by mmdebstrap from this machine's own apt sources, and kept.

A root has what its recipe names. For most tests it has mlvpnd's dependencies without mlvpnd, which goes into the
running node. Roots are outside the tree, in MLVPND_TEST_CACHE (`/var/cache/mlvpnd-tests`), one for each release and
recipe. They may be deleted when no node runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("MLVPND_TEST_CACHE", "/var/cache/mlvpnd-tests"))
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""The Debian releases of nodes, with their Python."""
PYTUN = "python-pytun==2.4.2"
PYTUN_DIR = "usr/lib/mlvpnd"
"""Directory for python-pytun, by `make install`. Debian does not have the package."""

# The system, mlvpnd's dependencies, and the commands of the tests.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "polkitd"),
    *("python3", "python3-dbus-next", "python3-systemd", "python3-nacl", "python3-pyroute2", "python3-setproctitle"),
    *("libpcap0.8", "iproute2", "iputils-ping", "procps", "libfaketime"),
)
# Units that only cost time in a container.
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("e2scrub_reap.service", "fstrim.timer", "console-getty.service", "getty@.service", "systemd-timesyncd.service"),
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# No test may lose a line to journald's global rate limit. The limit of each unit stays.
_JOURNALD = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nForwardToConsole=no\n"
_FILES = {
    "etc/machine-id": "",
    "etc/resolv.conf": "# no name server: every look-up fails at once\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/systemd/journald.conf.d/tests.conf": _JOURNALD,
}


_REMOVED = ("etc/hostname",)  # the file that mmdebstrap writes is this machine's


@dataclass(frozen=True, slots=True)
class Recipe:
    """The contents of a root."""

    packages: tuple[str, ...]
    """Installed packages, besides their dependencies."""
    pytun: bool = False
    """Whether python-pytun is installed, where `make install` puts it."""
    downloaded: tuple[str, ...] = ()
    """Packages that are not installed. apt-get in a node has them at hand, with what they depend on and recommend."""
    downloaded_bare: tuple[str, ...] = ()
    """Packages that are at hand in the same way, but for installation with --no-install-recommends."""
    masked: tuple[str, ...] = ()
    """Units that do not start, besides the units that only cost time."""
    build_depends: str = ""
    """The control file of a source package. Its build dependencies are installed."""


SYSTEM = Recipe(PACKAGES, pytun=True)
"""Recipe of nodes into which `make install` puts mlvpnd."""


class RootError(Exception):
    """A root could not be made."""


def root_of(suite: str, recipe: Recipe = SYSTEM) -> Path:
    """The root directory of a release. Makes it if it does not exist, in about a minute."""
    words = json.dumps([suite, repr(recipe), MASKED, _FILES, _REMOVED, PYTUN])
    root = CACHE / f"{suite}-{hashlib.sha256(words.encode()).hexdigest()[:12]}"
    if root.exists():
        return root
    with _locked(f"{root.name}.lock"):  # several may be made at the same time
        if not root.exists():
            making = f"making-{root.name}-"
            for left in CACHE.glob(f"{making}*"):  # left by an interrupted run, because the lock is ours
                shutil.rmtree(left)
            scratch = Path(tempfile.mkdtemp(prefix=making, dir=CACHE))
            try:
                _make(suite, recipe, scratch).rename(root)
            finally:
                shutil.rmtree(scratch)
    return root


def _make(suite: str, recipe: Recipe, scratch: Path) -> Path:
    """Makes a root in `scratch`."""
    root = scratch / "root"
    sources = scratch / "sources.list"
    sources.write_text("".join(f"{line}\n" for line in _sources(suite)))
    settings = (f"--aptopt={line}" for line in _apt_settings())
    # What mmdebstrap mounts below the root must go when mmdebstrap ends, however it ends.
    words = (
        "unshare",
        "--mount",
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--mode=root",
        "--format=directory",
        *settings,
    )
    hooks = _apt_hooks(recipe, scratch)
    _run(*words, *hooks, f"--include={','.join(recipe.packages)}", suite, str(root), str(sources))
    if recipe.pytun:
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps")
        python = ("--only-binary=:all:", f"--python-version={PYTHONS[suite]}", f"--target={root / PYTUN_DIR}")
        _run(*pip, *python, PYTUN)
    for name in (*MASKED, *recipe.masked):
        link = root / "etc/systemd/system" / name
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
    for name in _REMOVED:
        (root / name).unlink(missing_ok=True)
    root.chmod(0o755)
    return root


def _apt_hooks(recipe: Recipe, scratch: Path) -> Iterator[str]:
    """The last steps of mmdebstrap, with its own settings of apt."""
    apt = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --quiet'
    if recipe.build_depends:
        directory = scratch / "tmp" / "source" / "debian"
        directory.mkdir(parents=True)
        (directory / "control").write_text(recipe.build_depends)
        # Runs in the root: from outside, apt looks for a source package's directory below the root.
        inside = "DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet --no-install-recommends build-dep /tmp/source"
        yield f'--customize-hook=cp -R {directory.parent} "$1/tmp" && chroot "$1" env {inside} && rm -R "$1/tmp/source"'
    kept = (("true", recipe.downloaded), ("false", recipe.downloaded_bare))
    if any(names for _, names in kept):
        yield "--skip=cleanup/apt"
    for recommends, names in kept:
        if names:
            option = f"--option=APT::Install-Recommends={recommends}"
            yield f"--customize-hook={apt} --download-only {option} install {' '.join(names)}"


def _sources(suite: str) -> list[str]:
    """This machine's sources of Debian as lines of a sources.list, for the release `suite`."""
    release = host_release()
    ask = ("apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)")
    text = _run(*ask, "Created-By: Packages")
    if f"|{release}|" not in text:
        with _locked("lock"):  # two apt-get cannot run at once
            _run("apt-get", "-q", "update")
        text = _run(*ask, "Created-By: Packages")
    option = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    found = set()
    for line in text.splitlines():
        origin, uri, name, component = line.split("|")
        if origin == "Debian" and re.fullmatch(rf"{release}(-updates|-security)?", name):
            found.add(f"deb {option}{uri} {suite}{name.removeprefix(release)} {component}")
    if not found:
        raise RootError(f"apt knows no source of Debian {release}")
    return sorted(found)


def host_release() -> str:
    """The code name of this machine's release of Debian."""
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value
    raise RootError("/etc/os-release names no release of Debian")


def _apt_settings() -> list[str]:
    """This machine's settings that downloads need: proxies, limits, dates."""
    text = _run("apt-config", "dump", "--format", '%f "%v";%n', "Acquire")
    wanted = r'Acquire::(https?::(Proxy|Timeout)\S*|Check-\S+|Retries|Force\S+) ".+";'
    return [line for line in text.splitlines() if re.fullmatch(wanted, line)]


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*argv: str) -> str:
    environment = {**os.environ, "PATH": _PATH, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RootError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout
