"""Makes a release, except for publishing it.

    python tools/release.py 0.2.0            # or: make release VERSION=0.2.0
    python tools/release.py 0.2.0 --check    # changes nothing; tells what prevents the release

It closes the `Unreleased` section of CHANGELOG.md under the version and today's date. It writes the version into
`mlvpnd/__init__.py` and `debian/changelog`. It commits these changes as `release: VERSION`, and tags the commit
`vVERSION` with the section as the message. `make release` then builds the source package and the binary package of the
commit. To publish, `git push` with the tag, and upload the files in `build/deb`.
"""

from __future__ import annotations

import argparse
import email.utils
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
MAINTAINER = "mlvpnd developers <mlvpnd@packages.invalid>"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_UNRELEASED = "## [Unreleased]\n"


class ReleaseError(Exception):
    """There can be no release; the text tells a person why."""


def git(*words: str, project: Path = PROJECT) -> str:
    """Runs git and returns its output. Raises ReleaseError."""
    done = subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout


def numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, for comparison. Raises ReleaseError."""
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version: MAJOR.MINOR.PATCH")
    return tuple(int(part) for part in version.split("."))


def section(changelog: str) -> str:
    """The unreleased section of the change log. Raises ReleaseError if it is empty."""
    _, found, rest = changelog.partition(_UNRELEASED)
    text = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not found or not text:
        raise ReleaseError("CHANGELOG.md has nothing under [Unreleased]")
    return text


def closed(changelog: str, version: str, day: str) -> str:
    """The change log with the unreleased section under a version, and an empty one above it."""
    return changelog.replace(_UNRELEASED, f"{_UNRELEASED}\n## [{version}] - {day}\n", 1)


def debian_entry(version: str, at: datetime) -> str:
    """The entry of `debian/changelog`."""
    return (
        f"mlvpnd ({version}-1) unstable; urgency=medium\n\n  * New release: see CHANGELOG.md.\n\n"
        f" -- {MAINTAINER}  {email.utils.format_datetime(at)}\n"
    )


def check(version: str, project: Path = PROJECT) -> str:
    """Returns the section to release. Raises ReleaseError if something prevents the release."""
    wanted = numbers(version)
    if git("status", "--porcelain", project=project).strip():
        raise ReleaseError("there are changes that are not committed")
    tags = [tag.removeprefix("v") for tag in git("tag", "--list", "v*", project=project).split()]
    before = max((numbers(tag) for tag in tags if _VERSION.fullmatch(tag)), default=(0,))
    if wanted <= before:
        raise ReleaseError(f"{version} is not newer than {'.'.join(map(str, before))}")
    return section((project / "CHANGELOG.md").read_text())


def release(version: str, at: datetime, project: Path = PROJECT) -> None:
    """Commits and tags the release. Raises ReleaseError, with nothing changed."""
    text = check(version, project)
    changelog, package = project / "CHANGELOG.md", project / "mlvpnd" / "__init__.py"
    changelog.write_text(closed(changelog.read_text(), version, at.date().isoformat()))
    package.write_text(re.sub(r'(__version__ = )"[^"]*"', rf'\1"{version}"', package.read_text()))
    debian = project / "debian" / "changelog"
    entries = debian.read_text()
    if entries.startswith(f"mlvpnd ({version}-"):  # an entry for this version was begun before
        entries = entries.partition("\n -- ")[2].partition("\n")[2].lstrip()
    debian.write_text(f"{debian_entry(version, at)}\n{entries}")
    git("commit", "--quiet", "--all", "--message", f"release: {version}", project=project)
    git("tag", "--annotate", f"v{version}", "--message", f"mlvpnd {version}\n\n{text}", project=project)


def main() -> int:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("--check", action="store_true", help="change nothing; say what is in the way")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            check(arguments.version)
        else:
            release(arguments.version, datetime.now(UTC))
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
