"""`make demo`: two hosts, two unlike lines, one tunnel over both; real TCP, and a line that is cut under it.

Runs the configurations in `examples/` as they are, except for the directory of the control sockets and the file mode.
The exit status is 0 only if every byte arrived and was right, the bond paid off, and the cut was survived in time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .daemons import Daemon, DaemonError
from .lab import Direction, Lab, LabError, Line
from .linkemu import PROJECT, EmulatorError
from .traffic import TcpTransfer, ping
from .transfer import TcpResult

LINES = (Line(rate=20, delay=15), Line(rate=10, delay=40))
LINKS = ("adsl1", "adsl2")
"""Names of the links in the example files."""
SERVER_INNER, CLIENT_INNER = "10.42.0.1", "10.42.0.2"
CONTROL_DIRECTORY = "/run/mlvpn"
"""Directory of the control sockets in the example files. The demo uses another, to leave a real tunnel's alone."""

MEASURE_SECONDS = 12.0
SETTLE_SECONDS = 4.0
"""Seconds of each measurement in which TCP finds its speed. The demo shows the goodput with and without them."""
CUT_AFTER = 5.0
CUT_SECONDS = 5.0
SECONDS_AFTER_CUT = 6.0

WANTED_RATIO = 1.35
"""Bonded goodput divided by the goodput of the faster link alone."""
WANTED_GAP = 3.0
"""Seconds without progress at a cut, with `timeout = 2`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    title: str
    result: TcpResult


class Screen:
    """The user's view: steps, each with a line of progress below it, which a terminal renews in place."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._pending = ""
        self._printed_at = 0.0

    def _clear(self) -> None:
        if self._pending:
            print("\r\033[K", end="")
            self._pending = ""

    def step(self, text: str) -> None:
        """Begins a step."""
        self._clear()
        print(f"[{time.monotonic() - self._started_at:5.1f} s] {text}", flush=True)

    def detail(self, text: str) -> None:
        """Prints a line that stays, below the step."""
        self._clear()
        print(f"          {text}", flush=True)

    def progress(self, text: str) -> None:
        """Prints a line that the next progress replaces. If it is no terminal, prints one every two seconds."""
        if self._terminal:
            print(f"\r\033[K          {text}", end="", flush=True)
            self._pending = text
        elif time.monotonic() - self._printed_at >= 2:
            self._printed_at = time.monotonic()
            print(f"          {text}", flush=True)


class Demo:
    """The tunnel of the examples on a lab that is up, and the actions on it."""

    def __init__(self, lab: Lab, screen: Screen) -> None:
        self._lab = lab
        self._screen = screen
        self.server = self._daemon("server")
        self.client = self._daemon("client")

    def _daemon(self, end: str) -> Daemon:
        text = (PROJECT / "examples" / f"{end}.conf").read_text()
        text = text.replace(f"{CONTROL_DIRECTORY}/", f"{self._lab.directory}/")
        host = self._lab.server if end == "server" else self._lab.client
        return Daemon(host, self._lab.directory, end, text, control=self._lab.directory / f"{end}.control")

    def start(self) -> None:
        """Starts both ends, and waits for the first answer through the tunnel."""
        self.server.start()
        self.client.start()
        self.wait("connected", *LINKS)
        if not ping(self._lab.client, SERVER_INNER, count=3, interval=0.2).received:
            raise LabError(f"the links are up, but {SERVER_INNER} does not answer through the tunnel")

    def stop(self) -> None:
        """Stops both ends; they must end well."""
        self.client.stop()
        self.server.stop()

    def wait(self, status: str, *links: str) -> None:
        """Waits until both ends report this status of these links."""
        for daemon in (self.client, self.server):
            daemon.wait_links(status, *links)

    def show_links(self) -> None:
        """Shows the links' states as the client sees them."""
        for name, link in self.client.links().items():
            self._screen.detail(f"{name}: {link['status']}, srtt {link['srtt']} ms, loss {link['loss']} %")

    def cut(self, link: str, *, cut: bool = True) -> None:
        """The line goes dead, or comes back. The interfaces notice nothing."""
        self._lab.line(LINKS.index(link) + 1).set(up=not cut)

    def _transfer(self, seconds: float) -> TcpTransfer:
        return TcpTransfer(self._lab.server, self._lab.client, CLIENT_INNER, seconds=seconds, settle=SETTLE_SECONDS)

    def measure(self) -> TcpResult:
        """Measures a separate download."""
        transfer = self._transfer(MEASURE_SECONDS)
        self._watch(transfer, MEASURE_SECONDS + 10)
        return transfer.wait()

    def _watch(self, transfer: TcpTransfer, seconds: float) -> None:
        last_at, last_bytes = 0.0, 0
        for at, count in transfer.watch(seconds):
            if at > last_at:
                mbit = (count - last_bytes) * 8 / (at - last_at) / 1e6
                self._screen.progress(f"{at:5.1f} s  {count / 1e6:6.1f} MB  {mbit:5.1f} Mbit/s")
            last_at, last_bytes = at, count

    def alone(self, link: str) -> Row:
        """A download over one link, while the other lines are cut."""
        others = [name for name in LINKS if name != link]
        self._screen.step(f"download over {link} alone: {', '.join(others)} cut")
        for name in others:
            self.cut(name)
        self.wait("down", *others)
        result = self.measure()
        for name in others:
            self.cut(name, cut=False)
        self.wait("connected", *others)
        self._screen.detail(f"{result.settled_mbit:.1f} Mbit/s; {', '.join(others)} is back by itself")
        return Row(f"{link} alone ({', '.join(others)} cut)", result)

    def bonded(self) -> Row:
        """A download over all links."""
        self._screen.step("download over both links")
        result = self.measure()
        self._screen.detail(f"{result.settled_mbit:.1f} Mbit/s")
        return Row("both links", result)

    def cut_under_transfer(self, link: str) -> Row:
        """A download over all links. One of them dies and comes back meanwhile."""
        self._screen.step(f"download over both links; {link} is cut under it, and restored")
        transfer = self._transfer(CUT_AFTER + CUT_SECONDS + SECONDS_AFTER_CUT)
        self._watch(transfer, CUT_AFTER)
        self.cut(link)
        self._screen.detail(f"{link} is cut")
        self._watch(transfer, CUT_SECONDS)
        self.show_links()
        self.cut(link, cut=False)
        self._screen.detail(f"{link} is restored")
        self._watch(transfer, SECONDS_AFTER_CUT + 15)
        self.show_links()
        result = transfer.wait()
        self.wait("connected", *LINKS)
        return Row(f"both links, {link} cut and back", result)


def table(rows: Sequence[Row]) -> str:
    """The measurements as a table."""
    width = max(len(row.title) for row in rows)
    settled = f"Mbit/s after {SETTLE_SECONDS:.0f} s"
    lines = [f"{'download':{width}}  {settled}  {'from the start':>14}  {'longest gap':>11}  {'bytes verified':>14}"]
    for row in rows:
        result = row.result
        verified = f"{result.bytes_received:,}" if result.verified else "FAILED"
        lines.append(
            f"{row.title:{width}}  {result.settled_mbit:{len(settled)}.1f}  {result.mbit:14.1f}"
            f"  {result.longest_gap:9.2f} s  {verified:>14}"
        )
    return "\n".join(lines)


def verdicts(alone: Sequence[Row], bonded: Row, cut: Row) -> list[tuple[bool, str]]:
    """The promises of the demo, each with whether it was kept. Goodput is that after the first seconds."""
    fastest = max(row.result.settled_mbit for row in alone)
    total = sum(row.result.settled_mbit for row in alone)
    ratio = bonded.result.settled_mbit / fastest if fastest else 0.0
    share = bonded.result.settled_mbit / total if total else 0.0
    wrong = [row for row in (*alone, bonded, cut) if not row.result.verified]
    every_byte = "every byte arrived and was right" + "".join(f"; {row.title}: {row.result.error}" for row in wrong)
    gain = f"bonded is {ratio:.2f} x the faster link alone (wanted {WANTED_RATIO}), {share:.2f} of the sum"
    gap = f"gap at the cut {cut.result.longest_gap:.2f} s (wanted < {WANTED_GAP:.0f} s)"
    return [
        (not wrong, every_byte),
        (ratio >= WANTED_RATIO, gain),
        (cut.result.longest_gap < WANTED_GAP, gap),
    ]


def run(screen: Screen) -> bool:
    """Runs the whole demo; returns whether all promises were kept."""
    screen.step("two hosts in network namespaces, joined by two lines:")
    with Lab(LINES) as lab:
        for line, name in zip(lab.lines, LINKS, strict=True):
            conditions = line.conditions(Direction.TO_CLIENT)
            screen.detail(f"{name}: {conditions.rate:g} Mbit/s each way, {conditions.delay:g} ms of delay each way")
        demo = Demo(lab, screen)
        screen.step("a server and a client, with examples/server.conf and examples/client.conf")
        demo.start()
        demo.show_links()
        alone = [demo.alone(link) for link in LINKS]
        bonded = demo.bonded()
        cut = demo.cut_under_transfer(LINKS[0])
        screen.step("stop")
        demo.stop()
    print(f"\n{table([*alone, bonded, cut])}\n")
    results = verdicts(alone, bonded, cut)
    for passed, text in results:
        print(f"{'ok    ' if passed else 'FAILED'}  {text}")
    return all(passed for passed, _ in results)


def main(run_demo: Callable[[Screen], bool] = run) -> int:
    """Returns the exit status of the demo."""
    if os.geteuid():
        print("The demo makes network namespaces and needs root: sudo make demo", file=sys.stderr)
        return 1
    try:
        return 0 if run_demo(Screen()) else 1
    except (LabError, EmulatorError, DaemonError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; all that the demo made is removed.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
