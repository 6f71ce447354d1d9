"""The driver joins one Session to one interface and the links' sockets. It owns the clock and the one timer.

After every input it handles the session's events, sends datagrams and arms the timer. Input comes in bursts, so this
costs little.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import time
from collections.abc import Sequence

from mlvpnd.config.changes import LinkChange, compare
from mlvpnd.config.model import Config, LinkConfig, Mode
from mlvpnd.dataplane.plane import Plane
from mlvpnd.dataplane.reference import ReferencePlane
from mlvpnd.helper.client import HelperClient
from mlvpnd.logs.journal import of_link
from mlvpnd.logs.log import logger
from mlvpnd.net.resolve import Endpoints, Resolved
from mlvpnd.operator.face import LinkDisabled, LinkPropertiesChanged, LinksChanged, NoSuchLink
from mlvpnd.operator.notices import Reports
from mlvpnd.protocol.links.events import (
    DownReason,
    Event,
    PathDown,
    PathStatusChanged,
    PathUnanswered,
    PathUnheard,
    PathUp,
    PeerMoved,
    PeerRestarted,
    TierChanged,
)
from mlvpnd.protocol.links.path import Address, PathParameters, is_ipv6
from mlvpnd.protocol.links.session import Session
from mlvpnd.systemd.fd_store import Keeper
from mlvpnd.systemd.inherited_sockets import Sockets

from . import matching
from .counting import Counting
from .droplog import DropLog
from .eventlog import REASONS, EventLog, log_switched, log_update
from .interface import Interface
from .lasting import Lasting
from .link_opener import LinkOpener
from .parameters import pacing_line, path_parameters, session_parameters
from .restart import Continuity
from .scripts import ScriptQueue
from .silence import Silence
from .states import STARTING, link_state, tunnel_state
from .uplinks import Uplinks

REFUSED_LIMIT = 0.9
"""Seconds. A link goes down when the system has refused all its datagrams for this long, as without a route.
Less than the second between two KEEPALIVEs, so that two refused in a row are enough.

The peer's silence would tell too, but only after `timeout`; until then everything given to the link would be lost.
"""

_config_log = logger("config")
_net = logger("net")


def clock_seq() -> int:
    """A first sequence number above any that an earlier process can have used: 15.6 million a second since 1970.

    So a nonce does not repeat even if a random flow_id does, as long as the clock does not go back.
    """
    return time.time_ns() >> 6


class Tunnel:
    """One tunnel, from an open interface to a clean stop. `changed` is set when a link's state has changed."""

    def __init__(
        self,
        config: Config,
        helper: HelperClient,
        interface: Interface,
        *,
        plane: Plane | None = None,
        reports: Reports | None = None,
        keeper: Keeper | None = None,
        sockets: Sockets | None = None,
        lasting: Lasting | None = None,
    ) -> None:
        self.config = config
        self.interface = interface
        interface.configures = config.configure_interface
        self.reloaded_at = self.started_at = time.time()
        self.changed = asyncio.Event()
        self._reports = reports or Reports()
        self._continuity = Continuity(keeper, sockets)
        self._lasting = lasting or Lasting()
        self._stopping = False
        self._helper = helper
        self._loop = asyncio.get_running_loop()
        self.plane = plane if plane is not None else ReferencePlane(self._loop)
        """The twin that carries the packets from start to stop."""
        self._timer: asyncio.TimerHandle | None = None
        self._scripts = ScriptQueue(helper)
        self._drop_log = DropLog()
        self._event_log = EventLog()
        self._up: set[int] = set()
        """Links that are up by the events handled so far: several links may change at once."""
        self.session: Session
        """From `start` on."""
        self.counting: Counting
        """From `start` on."""
        self.drivers: dict[int, LinkOpener] = {}
        self.states: dict[int, tuple[float, str]] = {}
        """For each link: since when it is in its state, in Unix seconds, and why it is down."""
        self.rules = 0
        """How many rules are in force: the file's, without those that libpcap refuses."""
        self._pacing_said = ""
        self._next_number = 0
        self.state_since = self.started_at
        """When the tunnel's state began, in Unix seconds."""
        self._last_state = ""
        self._uplinks = Uplinks(self.drivers, self._lose, interface.look)
        self.silence = Silence(self.drivers, self._is_answered, self._peer_of, self._reason_of, self.changed.set)

    # Life.

    def start(self) -> None:
        """Starts all links; returns at once."""
        self._lasting.begin([link.name for link in self.config.links], lambda: self.counting.note())
        for link in self.config.links:
            self._add_driver(link)
        self.session = self._continuity.recall(self._new_session, self.config.links)
        self.counting = Counting(self._lasting, self.session, self.drivers, self.plane, self.interface.device)
        self.plane.begin(self.session, self.interface.device, self)
        for path in self.session.paths:
            if path.up:
                self._up.add(path.number)
                self.states[path.number] = (time.time(), "")
                self._learn_family(path.number)
            elif not path.parameters.enabled:
                name = path.parameters.name
                _net.info("%s stays disabled until it is enabled", name, extra=of_link(name))
            self._reports.link(path.parameters.name, link_state(path))
        self._reports.tunnel(self.state)  # as it was: no event
        self.interface.default_routes = bool(self._up)
        self._continuity.adopt(self.drivers, self.config, self.session)
        self._set_matching()
        self._say_pacing()
        self.interface.start(self.plane, self._on_regained, self.config.mss_clamp)
        self.after()
        self._report_tunnel()
        self._continuity.keep_saving(self.session, lambda: self.config.links)
        self._uplinks.start()

    async def wait_tried(self) -> None:
        """Returns when each link has a socket, or knows why it has none."""
        for driver in list(self.drivers.values()):
            await driver.tried.wait()

    async def stop(self, limit: float, *, restarting: bool = False, meant: bool = True) -> None:
        """Sends DISCONNECT on every link, runs the down scripts, closes everything. Scripts have `limit` seconds.

        Before a restart there are no DISCONNECTs, and nothing is undone: the next process goes on with what is kept.
        A stop that nobody has asked for leaves a kill switch.
        """
        self.plane.settle()
        self.interface.pause()
        self._stopping = True
        self._report_tunnel()
        self.counting.note()
        saving = self._loop.create_task(self._lasting.close())
        now = self._loop.time()
        self.session.flush(now)
        (self.session.greet if restarting else self.session.close)(now)
        self.after()
        self._continuity.save_last(self.session, self.config.links)
        if self._timer is not None:
            self._timer.cancel()
        self._uplinks.stop()
        self.silence.stop()
        for number, driver in self.drivers.items():
            self.plane.detach_link(number)
            driver.stop()
        await self._scripts.drain(limit)
        await saving
        if meant and not restarting:
            await self.interface.release(kill_switch=self.config.kill_switch)
        self.plane.end()
        self.interface.close()

    def _new_session(self) -> Session:
        session = self.plane.session_type(session_parameters(self.config), clock_seq(), lambda: secrets.randbits(32))
        for number, driver in self.drivers.items():
            session.add_path(number, self._path_parameters(driver.config), clock_seq())
        return session

    def unix_time(self, at: float) -> float:
        """A point of the monotonic clock as Unix seconds."""
        return time.time() - (self._loop.time() - at)

    # Configuration.

    def apply(self, config: Config) -> None:
        """Applies a new configuration; what did not change is not touched."""
        self.plane.settle()
        changes = compare(self.running, config)  # `running`: weights that an operator has set give way to the file's
        for key in changes.not_applied:
            _config_log.warning("%s has changed: the new value takes effect at the next start", key)
        old = self.config
        self.config = dataclasses.replace(
            config, interface_name=old.interface_name, tuntap=old.tuntap, data_plane=old.data_plane
        )
        numbers = {driver.config.name: number for number, driver in self.drivers.items()}
        for link in changes.removed:
            _config_log.info("%s tunnel removed", link.name, extra=of_link(link.name))
            self._remove_link(numbers[link.name])
            self._lasting.drop(link.name)  # if the name comes back, it is another link
        remotes: dict[str, list[Resolved]] = {}
        for change in changes.restarted:
            name = change.new.name
            _config_log.info("%s restart for configuration reload", name, extra=of_link(name))
            number = numbers[name]
            if {"remotehost", "remoteport"}.isdisjoint(change.keys):
                remotes[name] = self.drivers[number].remotes
            self._remove_link(number)
        for change in changes.updated:
            self._update_link(numbers[change.new.name], change)
        self.plane.deliver(self.session.reconfigure(session_parameters(self.config)))
        if old.reorder_buffer_size != config.reorder_buffer_size:
            _config_log.info(
                "reorder_buffer_size changed from %d to %d", old.reorder_buffer_size, config.reorder_buffer_size
            )
        if old.password != config.password:
            _config_log.info("new password set")
        for change in changes.restarted:
            self._add_link(change.new, remotes.get(change.new.name, ()))
        for link in changes.added:
            _config_log.info("%s tunnel added", link.name, extra=of_link(link.name))
            self._add_link(link)
        self._set_matching()
        self._say_pacing()
        self.reloaded_at = time.time()
        self.interface.follow(self.config.mss_clamp, configures=self.config.configure_interface)
        self._expire(self._loop.time())
        self._report_tunnel()  # of the links that are left, more or fewer may be up
        if changes.added or changes.removed:
            names = [tuple(link.name for link in links) for links in (changes.added, changes.removed)]
            self._reports.tell(LinksChanged(*names))
        self.changed.set()

    def _update_link(self, number: int, change: LinkChange) -> None:
        log_update(change)
        self.drivers[number].config = change.new
        self._set_parameters(number)

    def _add_link(self, link: LinkConfig, remotes: Sequence[Resolved] = ()) -> None:
        number = self._add_driver(link, remotes)
        self.session.add_path(number, self._path_parameters(link), clock_seq())

    def _add_driver(self, link: LinkConfig, remotes: Sequence[Resolved] = ()) -> int:
        known = self._lasting.known(link) if not remotes else None
        number = self._next_number
        self._next_number += 1
        self.states[number] = (time.time(), self._down_reason(link.name))
        self.drivers[number] = LinkOpener(
            link,
            self.config.mode,
            self._helper,
            lambda ends: self._opened(number, ends),
            lambda: self._closed(number),
            known.addresses if known is not None else remotes,
            known.at if known is not None else None,
        )
        return number

    def _remove_link(self, number: int) -> None:
        """Takes a link out; its DISCONNECT is sent before its socket closes. Its counters go on if it comes back."""
        self.counting.restart(number)
        self.plane.deliver(self.session.disconnect_path(number, self._loop.time()))
        self.after()
        self.session.remove_path(number, self._loop.time())
        driver = self.drivers.pop(number)
        self._continuity.forget(driver)
        self._reports.forget_link(driver.config.name)
        del self.states[number]
        self._drop_log.forget(driver.config.name)
        self.plane.detach_link(number)
        driver.stop()

    def _set_matching(self) -> None:
        numbers = {driver.config.name: number for number, driver in self.drivers.items()}
        self.session.set_filters(matching.filters(self.config, numbers))
        rules = matching.rules(self.config, numbers)
        self.session.set_rules(rules)
        self.rules = len(rules)

    @property
    def running(self) -> Config:
        """The configuration in force: unlike the file's, it has the weights that an operator has set."""
        links = {driver.config.name: driver.config for driver in self.drivers.values()}
        return dataclasses.replace(self.config, links=tuple(links.get(link.name, link) for link in self.config.links))

    def _say_pacing(self) -> None:
        """Logs what `bandwidth_upload` means: at the start and at each change."""
        said = pacing_line(self.running)
        if said != self._pacing_said:
            _config_log.info("%s", said)
        self._pacing_said = said

    # What an operator may change while the tunnel runs.

    def set_enabled(self, name: str, *, enabled: bool) -> None:
        """Takes a link out of use at both ends, or back in. Raises NoSuchLink."""
        number = self._number(name)
        if enabled == self.enabled(name):
            return
        self._lasting.disable(name, disabled=not enabled)
        log_switched(name, enabled=enabled)
        self.states[number] = (time.time(), self._down_reason(name))
        self._set_parameters(number)
        self._reports.link(name, link_state(self.session.path(number)), "" if enabled else self._down_reason(name))
        self.changed.set()

    def set_bandwidth_upload(self, name: str, bandwidth: int) -> None:
        """Sets a link's weight until the next reload. Raises NoSuchLink."""
        driver = self.drivers[self._number(name)]
        driver.config = dataclasses.replace(driver.config, bandwidth_upload=bandwidth)
        self._set_parameters(self._number(name))
        self._say_pacing()

    def reconnect(self, name: str) -> None:
        """Sends DISCONNECT on a link and opens its socket anew. Raises NoSuchLink, or LinkDisabled."""
        number = self._number(name)
        if not self.enabled(name):
            raise LinkDisabled(f"{name} is disabled: enable it first")
        self.plane.deliver(self.session.disconnect(number, self._loop.time()))
        self.after()
        self._reopen(self.drivers[number])

    def enabled(self, name: str) -> bool:
        """Whether a link is in use: an operator has not disabled it."""
        return not self._lasting.disabled(name)

    def _down_reason(self, name: str) -> str:
        """Why a link is down that has not been up since it began, or since it was enabled or disabled."""
        return STARTING if self.enabled(name) else DownReason.DISABLED.value

    def forget(self) -> None:
        """Forgets what outlasts a stop: enables all links, and counters begin at 0."""
        for driver in self.drivers.values():
            self.set_enabled(driver.config.name, enabled=True)
        self.counting.forget()

    def _number(self, name: str) -> int:
        for number, driver in self.drivers.items():
            if driver.config.name == name:
                return number
        raise NoSuchLink(f"no link {name}")

    def _set_parameters(self, number: int) -> None:
        link = self.drivers[number].config
        self.plane.deliver(self.session.set_parameters(number, self._path_parameters(link), self._loop.time()))
        self.after()
        self._report_tunnel()
        self._reports.tell(LinkPropertiesChanged(link.name))

    def _path_parameters(self, link: LinkConfig) -> PathParameters:
        return dataclasses.replace(path_parameters(link), enabled=self.enabled(link.name))

    # Sockets.

    def _opened(self, number: int, ends: Endpoints) -> None:
        link_socket = self.drivers[number].socket
        assert link_socket is not None  # noqa: S101  (the driver calls with its socket open)
        self.plane.attach_link(number, link_socket)
        self._continuity.keep(self.drivers[number])
        self.session.path_ready(number, ends.remote, self._loop.time())
        self.after()

    def _reopen(self, driver: LinkOpener) -> None:
        """Opens a link's socket anew, if it can be."""
        if self._may_reopen(driver):
            driver.reopen()

    def _may_reopen(self, driver: LinkOpener) -> bool:
        """Whether a link's socket can be opened anew.

        A server's socket that systemd holds too is left alone: its port would not be free. It is as good as a new one
        unless it is bound to an interface.
        """
        return not self._continuity.holds_ports or self.config.mode is Mode.CLIENT or bool(driver.device)

    def _lose(self, number: int, reason: DownReason) -> None:
        """A link's uplink is of no use now: the link goes down, and further packets take other links."""
        driver = self.drivers[number]
        if self._may_reopen(driver):
            self.plane.deliver(self.session.path_unready(number, self._loop.time(), reason))
            driver.uplink_is_lost()
            self.after()
        else:
            self._start_anew(number, reason)
        # Where it was down before, it is so for another reason now. What an operator asked goes first.
        if self.states[number][1] != reason.value and self.enabled(driver.config.name):
            self.states[number] = (time.time(), reason.value)
            self.changed.set()

    def _start_anew(self, number: int, reason: DownReason) -> None:
        """Takes a link down that keeps its socket."""
        now = self._loop.time()
        self.plane.deliver(self.session.path_unready(number, now, reason))
        self.session.path_ready(number, None, now)
        self.after()

    def _closed(self, number: int) -> None:
        driver = self.drivers.get(number)
        if driver is None or driver.socket is None:
            return
        self.plane.detach_link(number)
        self._continuity.forget(driver)
        self.plane.deliver(self.session.path_unready(number, self._loop.time()))
        self.after()

    # Input.

    def _on_regained(self) -> None:
        if self._up:
            self._scripts.put("tuntap_up")

    def received(self, number: int) -> None:
        """See `plane.PlaneListener`."""
        name = self.drivers[number].config.name
        self._drop_log.look(name, self.session.path(number).drops, self._loop.time())

    def _on_timer(self, due: float) -> None:
        self._timer, now = None, self._loop.time()
        self.session.woken(due, now)
        self._expire(now)

    def _expire(self, now: float) -> None:
        self.plane.deliver(self.session.handle_timer(now))
        self.after()

    # Output.

    def after(self) -> None:
        """See `plane.PlaneListener`."""
        for event in self.session.events():
            self._handle(event)
        for number in self.plane.send():
            driver = self.drivers[number]
            refused_for = driver.socket.refused_for if driver.socket is not None else None
            if refused_for is not None and self.session.path(number).up and refused_for >= REFUSED_LIMIT:
                self._refused(number, driver)
        due = self.plane.due()
        # A timer that fires early finds nothing to do, so only a nearer deadline needs a new timer.
        if due is not None and (self._timer is None or due < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            # A deadline that is past already must not look to `woken` as if the process had slept.
            self._timer = self._loop.call_at(due, self._on_timer, max(due, self._loop.time()))

    def _refused(self, number: int, driver: LinkOpener) -> None:
        """The system keeps refusing what is sent: the link goes down, and its socket is opened anew if it can be."""
        error = driver.socket.last_error if driver.socket is not None else ""
        name = driver.config.name
        _net.info("%s write error: %s", name, error, extra=of_link(name))
        if self._may_reopen(driver):
            driver.reopen()
        else:
            self._start_anew(number, DownReason.SOCKET_LOST)
        self.states[number] = (time.time(), f"write error: {error}")

    # Events.

    def _handle(self, event: Event) -> None:
        if isinstance(event, TierChanged):
            self._event_log.tier(event)
            self._report_tunnel()
            return
        driver, path = self.drivers[event.path], self.session.path(event.path)
        name = driver.config.name
        match event:
            case PathUp(number):
                driver.answered()
                self._event_log.up(path)
                self.states[number] = (time.time(), "")
                self._learn_family(number)  # first: the scripts are told the MTU
                self.counting.learn_address(number)
                self.interface.link_is_up()
                self._scripts.put("rtun_up", name)
                if not self._up:
                    self._scripts.put("tuntap_up")
                self._up.add(number)
            case PathDown(number, reason):
                self._event_log.down(path, reason)
                self.states[number] = (time.time(), reason.value)
                self._scripts.put("rtun_down", name)
                self._up.remove(number)
                if not self._up:
                    self._scripts.put("tuntap_down")
                    self.interface.no_link_is_up(self.config.timeout)
                unheard = reason is DownReason.UNHEARD and self.config.mode is Mode.CLIENT
                if (reason is DownReason.TIMEOUT or unheard) and self._may_reopen(driver):
                    driver.timed_out()
                self._reports.link(name, link_state(path), REASONS[reason])
            case PeerMoved(number):
                self._event_log.moved(path, self._loop.time())
                self._learn_family(number)
                self._reports.tell(LinkPropertiesChanged(name))
            case PathUnheard():
                self._event_log.unheard(path, self._loop.time())
            case PeerRestarted():
                self._event_log.restarted(path, self._loop.time())
            case PathUnanswered(number):
                ends = driver.next_address()
                if ends is None:
                    driver.timed_out()
                else:
                    self.session.path_ready(number, ends.remote, self._loop.time())
            case PathStatusChanged(number):
                self.states[number] = (time.time(), "")
                self._event_log.quality(path, event)
        self._reports.link(name, link_state(path))
        self._report_tunnel()
        self.changed.set()

    @property
    def state(self) -> str:
        """One of the words of `status.TunnelStatus.state`."""
        return "stopping" if self._stopping else tunnel_state(self.session, self.config.mode)

    def _report_tunnel(self) -> None:
        state = self.state
        if state != self._last_state:
            self._last_state, self.state_since = state, time.time()
        self._event_log.tunnel(self._reports.tunnel(state), state)
        self.silence.look()

    def _is_answered(self, number: int) -> bool | None:
        """Whether a link is up; None: it asks nobody."""
        path = self.session.path(number)
        asks = self.config.mode is Mode.CLIENT and path.parameters.enabled and not self._stopping
        return path.up if asks else None

    def _peer_of(self, number: int) -> Address | None:
        return self.session.path(number).peer

    def _reason_of(self, number: int) -> str:
        """Why a link went down; empty: it was not up yet."""
        reason = self.states[number][1]
        return "" if reason == STARTING else reason

    def _learn_family(self, number: int) -> None:
        """Looks whether a link's peer has an IPv6 address, on which an unset MTU depends."""
        if is_ipv6(self.session.path(number).peer):
            self.interface.use_ipv6(mtu_is_unset=self.config.mtu is None)
