"""mlvpnd's Debian packages for a release, built in a root with what debian/control names, and without a network.

There are also a newer package, for upgrades, and one with the files of C MLVPN's.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .linkemu import PROJECT
from .nodes import Node
from .rootfs import Recipe

CONTROL = PROJECT / "debian" / "control"
BUILD_LIMIT = 900
"""Seconds of a build. Half a minute is usual, one and a half minutes with its tests."""
APT_LIMIT = 300
"""Seconds of an apt-get run. About ten are usual."""

# The parts of a minimal system that a node needs, and the commands of the tests.
_MINIMAL = ("systemd", "systemd-sysv", "dbus", "iproute2", "iputils-ping", "procps")
_BUILD = ("build-essential", "fakeroot", "lintian")
# autopkgtest itself fetches dpkg-dev if its testbed has none, as Debian's have.
_AUTOPKGTEST = ("autopkgtest", "dpkg-dev")
_ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8")

# $1 is the root, $2 sources, $3 results, $4 scratch. All mounts are in this mount namespace, so none is left over.
_CHROOT = """
mount -t tmpfs build "$4"
mkdir "$4/upper" "$4/work" "$4/root"
mount -t overlay -o "lowerdir=$1,upperdir=$4/upper,workdir=$4/work" overlay "$4/root"
mount -t proc proc "$4/root/proc"
mount --rbind /dev "$4/root/dev"
mkdir "$4/root/in" "$4/root/out"
mount --bind "$2" "$4/root/in"
mount --bind "$3" "$4/root/out"
root="$4/root"
shift 4
exec chroot "$root" "$@"
"""


def _relations(control: str, field: str) -> tuple[str, ...]:
    """The packages of a field of the binary package: the first of alternatives, without variables."""
    (text,) = re.findall(rf"^{field}:((?:\n? .*)+)$", control, re.MULTILINE)
    words = [one.split("|")[0].strip() for one in text.split(",")]
    return tuple(word for word in words if word and not word.startswith("$"))


def minimal_system() -> Recipe:
    """A system without mlvpnd's dependencies. But apt-get has them all at hand, and the packages for autopkgtest."""
    control = CONTROL.read_text()
    offered = ("python3", *_relations(control, "Depends"), *_relations(control, "Recommends"))
    return Recipe(_MINIMAL, downloaded=offered, downloaded_bare=_AUTOPKGTEST)


def build_system() -> Recipe:
    """A system with the build dependencies of the package."""
    return Recipe(_BUILD, build_depends=CONTROL.read_text())


def make_source(directory: Path) -> None:
    """Runs `make deb-source` of this tree, into a directory."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    words = ["make", "--silent", "deb-source", f"DEB_DIR={directory}"]
    subprocess.run(words, cwd=PROJECT, check=True, env=environment, stdout=subprocess.DEVNULL)


def build(root: Path, source: Path, out: Path, scratch: Path) -> Path:
    """Builds and lints the source package in a directory, with the release's own pytest; returns the package."""
    for directory in (out, scratch):
        directory.mkdir()
    (source / "build-package").write_bytes((PROJECT / "debian" / "build-package").read_bytes())
    (source / "build-package").chmod(0o755)
    enter = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation=private")
    chroot = ("sh", "-ec", _CHROOT, "sh", str(root), str(source), str(out), str(scratch))
    done = subprocess.run(
        [*enter, *chroot, *_ENVIRONMENT, "/in/build-package", "/in", "/out"],
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_LIMIT,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-2000:]}"
    (package,) = (path for path in out.glob("mlvpnd_*.deb"))
    return package


def install(node: Node, package: Path) -> str:
    """Runs `apt install ./PACKAGE` in a node that is a minimal system. Nobody answers: a question would fail."""
    return apt(node, "install", _put(node, package))


def install_by_dpkg(node: Node, package: Path) -> subprocess.CompletedProcess[str]:
    """Runs `dpkg -i PACKAGE` in the same way. It fails if a package that this one depends on is missing."""
    return node.attempt("dpkg", "--install", _put(node, package), timeout=APT_LIMIT)


def apt(node: Node, *words: str) -> str:
    """Runs `apt-get` in a node that is a minimal system."""
    return node.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet", *words, timeout=APT_LIMIT)


def _put(node: Node, package: Path) -> str:
    (node.root / "root" / package.name).write_bytes(package.read_bytes())
    return f"/root/{package.name}"


def newer(package: Path, directory: Path) -> Path:
    """The same package with a higher version."""
    tree = directory / "newer"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+newer", control.read_text(), flags=re.MULTILINE))
    return _pack(tree, directory / "mlvpnd_newer.deb")


def first(package: Path, directory: Path) -> Path:
    """The package as its first version was: AUTOSTART says which tunnels start."""
    tree = directory / "first"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 0.1.0-1", control.read_text(), flags=re.MULTILINE))
    (generator,) = tree.rglob("mlvpn-generator")
    generator.write_text(_GENERATOR)
    _add(tree, {"DEBIAN/conffiles": "/etc/default/mlvpn\n", "etc/default/mlvpn": _DEFAULTS})
    return _pack(tree, directory / "mlvpnd_first.deb")


def upstreams(directory: Path) -> Path:
    """A package with the names and the files of C MLVPN's, and a daemon that does nothing."""
    tree = directory / "upstreams"
    _add(tree, _UPSTREAM)
    (tree / "etc/mlvpn").mkdir(mode=0o755)
    return _pack(tree, directory / "mlvpn.deb")


def _add(tree: Path, files: Mapping[str, str]) -> None:
    """Writes files of a package; a script may be run."""
    for name, text in files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if text.startswith("#!") else 0o644)


def _pack(tree: Path, package: Path) -> Path:
    words = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(package)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return package


_DEFAULTS = """\
# Allowed values are "all", "none", or a list of names. Empty means "all".
#AUTOSTART="all"
#AUTOSTART="none"
#AUTOSTART="paris berlin"
USER=mlvpn
"""
_GENERATOR = """\
#!/bin/sh
AUTOSTART=all
[ ! -e /etc/default/mlvpn ] || . /etc/default/mlvpn
mkdir -p "$1/mlvpn.service.wants"
case $AUTOSTART in
none) exit ;;
all | '') AUTOSTART=$(cd /etc/mlvpn && for file in *.conf; do echo "${file%.conf}"; done) ;;
esac
for name in $AUTOSTART; do
    ln -sf /lib/systemd/system/mlvpn@.service "$1/mlvpn.service.wants/mlvpn@$name.service"
done
"""
_UPSTREAM = {
    "DEBIAN/control": """\
Package: mlvpn
Version: 2.3.5
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: stands for C MLVPN
""",
    "DEBIAN/conffiles": "/etc/default/mlvpn\n/etc/init.d/mlvpn\n",
    "DEBIAN/postinst": """\
#!/bin/sh
set -e
getent passwd mlvpn >/dev/null || {
    echo 'mlvpn:x:990:' >>/etc/group
    echo 'mlvpn:x:990:990::/run/mlvpn:/usr/sbin/nologin' >>/etc/passwd
}
systemctl daemon-reload
systemctl enable --now mlvpn.service
""",
    "DEBIAN/prerm": """\
#!/bin/sh
set -e
[ "$1" = upgrade ] || systemctl stop mlvpn.service
""",
    "usr/sbin/mlvpn": "#!/bin/sh\nexec sleep infinity\n",
    "usr/share/man/man1/mlvpn.1": ".TH mlvpn 1\n",
    "usr/lib/tmpfiles.d/mlvpn.conf": "d /run/mlvpn 0755 root root -\n",
    "etc/init.d/mlvpn": """\
#!/bin/sh
### BEGIN INIT INFO
# Provides: mlvpn
# Required-Start: $network
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
exit 0
""",
    "lib/systemd/system/mlvpn.service": """\
[Unit]
Description=MLVPN
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecReload=/bin/true
[Install]
WantedBy=multi-user.target
""",
    "lib/systemd/system/mlvpn@.service": """\
[Unit]
Description=MLVPN %i
PartOf=mlvpn.service
ReloadPropagatedFrom=mlvpn.service
[Service]
ExecStart=/usr/sbin/mlvpn --config /etc/mlvpn/%i.conf --name %i --user mlvpn
[Install]
WantedBy=multi-user.target
""",
    "lib/systemd/system-generators/mlvpn-generator": _GENERATOR,
    "etc/default/mlvpn": _DEFAULTS,
}
