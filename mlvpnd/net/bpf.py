"""Packet filters: BPF expressions (pcap-filter(7)), compiled and run by libpcap.

libpcap looks up names in expressions: `port sip`, `ip proto ospf`, `host example.org`. In the daemon's empty chroot
this goes wrong: no port is found, and libpcap silently takes every protocol name for number 0. So `preload` reads the
system's tables before the chroot is entered, and `compile` replaces names that libpcap cannot look up by numbers.
A number has no protocol. Outside the chroot libpcap takes `port ssh` for TCP only, because the table has ssh only for
TCP. In the chroot it means port 22 of any protocol. After `preload` no host name goes to the DNS: an answer may take
seconds, and no packet would move meanwhile.
"""

from __future__ import annotations

import ctypes
import enum
import re
import socket
import weakref
from collections.abc import Callable, Iterator

from mlvpnd.errors import MlvpndError

LIBRARY = "libpcap.so.0.8"
MAX_EXPRESSION_SIZE = 4096
"""Characters. libpcap's time grows with the square of the length: a hundred hosts take 5 ms, but the worst nonsense of
this size takes 2 s."""
_MAX_NAMES = 64
"""Names in one expression that are replaced by numbers."""
_NETMASK_UNKNOWN = 0xFFFFFFFF
_REJECTS_ALL = "expression rejects all packets"
_NO_SUCH_NAME = "no-such-name-anywhere"
# A word as libpcap's scanner sees it: anything after a backslash, or a possible name that is no number.
_WORD = re.compile(
    r"\\(?P<escaped>[^ !()\t\n]+)"
    r"|(?<![\w.:/-])(?!(?:\d+|0[xX][\da-fA-F]+)(?![\w.-]))(?P<plain>[A-Za-z0-9][\w.-]*)(?![\w:-])"
)
_AS_IT_STANDS = re.compile(r"proto|\[")
"""Found in expressions that name headers by number or place: `ip6 proto 44`, `ip6[6] = 0`."""
_UNKNOWN_PORT = re.compile(r"unknown port '([^']+)'")
_UNRESOLVED = re.compile(r"unknown (?:port|host|network|ip proto|ether host)")


_OUTSIDE = 1 << 31
"""Offsets from here on are outside the packet: the kernel's own data about it (SKF_AD_OFF of linux/filter.h)."""
_LOADS = frozenset({0x20, 0x28, 0x30})
"""BPF instructions that load a word, a half or a byte from a fixed offset (bpf(4))."""


class LinkType(enum.Enum):
    """The header that a packet starts with; the values are libpcap's DLT numbers."""

    ETHERNET = 1
    """An Ethernet header (tap)."""
    RAW = 12
    """An IPv4 or IPv6 header (tun)."""


class FilterError(MlvpndError):
    """An expression that cannot be compiled, in libpcap's own words."""


class _ProgramStruct(ctypes.Structure):
    """struct bpf_program"""

    _fields_ = [("length", ctypes.c_uint), ("instructions", ctypes.c_void_p)]  # noqa: RUF012


class _Instruction(ctypes.Structure):
    """struct bpf_insn"""

    _fields_ = [  # noqa: RUF012
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("operand", ctypes.c_uint),
    ]


class _ServiceEntry(ctypes.Structure):
    """struct servent, and the start of struct protoent, whose third field is the number as it is."""

    _fields_ = [  # noqa: RUF012
        ("name", ctypes.c_char_p),
        ("aliases", ctypes.POINTER(ctypes.c_char_p)),
        ("number", ctypes.c_int),
    ]


def _load() -> ctypes.PyDLL:
    # PyDLL keeps the interpreter's lock: a match takes less time than to release the lock and take it back. And
    # no two threads compile at once, which libpcap before 1.8 does not support.
    try:
        library = ctypes.PyDLL(LIBRARY)
    except OSError as error:
        raise ImportError(f"cannot load {LIBRARY}, which the filters need (Debian: libpcap0.8): {error}") from None
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
    library.pcap_close.restype = None
    library.pcap_close.argtypes = [ctypes.c_void_p]
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_geterr.argtypes = [ctypes.c_void_p]
    library.pcap_compile.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(_ProgramStruct),
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_uint32,
    ]
    library.pcap_freecode.restype = None
    library.pcap_freecode.argtypes = [ctypes.POINTER(_ProgramStruct)]
    return library


_pcap = _load()
# Without argtypes ctypes checks less per packet, and a call takes half the time.
_bpf_filter: Callable[[ctypes.c_void_p, bytes, int, int], int] = _pcap.bpf_filter
_services: dict[str, int] = {}
_protocols: dict[str, int] = {}


class Program:
    """A compiled filter; freed with its last reference."""

    __slots__ = ("__weakref__", "_as_it_stands", "_instructions", "_struct", "expression")

    def __init__(self, expression: str, struct: _ProgramStruct) -> None:
        """Takes over `struct`, which libpcap has filled. Use `compile`."""
        self.expression = expression
        """The expression as the user wrote it."""
        self._as_it_stands = _AS_IT_STANDS.search(expression) is not None
        self._struct = struct
        self._instructions = ctypes.c_void_p(struct.instructions)
        weakref.finalize(self, _pcap.pcap_freecode, struct).atexit = False

    @property
    def address(self) -> int:
        """Address of the instructions, for `function`."""
        return int(self._struct.instructions)

    @property
    def leaves_the_packet(self) -> bool:
        """Whether it reads outside the packet, where it ends without a match."""
        instructions = (_Instruction * self._struct.length).from_address(self.address)
        return any(one.code in _LOADS and one.operand >= _OUTSIDE for one in instructions)

    @property
    def function(self) -> int:
        """Address of bpf_filter(3pcap)."""
        return ctypes.cast(_pcap.bpf_filter, ctypes.c_void_p).value or 0

    def matches(self, packet: bytes, plain: bytes | None = None, /) -> bool:
        """Whether the filter accepts the packet; any bytes may be given, also none.

        `plain` is the packet without IPv6's extension headers, behind which libpcap does not look for ports. If given,
        it is tried first, and the packet itself only if the expression names headers by number or place.
        """
        if plain is not None:
            size = len(plain)
            found = _bpf_filter(self._instructions, plain, size, size) != 0
            if found or not self._as_it_stands:
                return found
        size = len(packet)
        return _bpf_filter(self._instructions, packet, size, size) != 0


def compile(expression: str, link_type: LinkType, snaplen: int = 65535) -> Program:
    """Compiles an expression for packets of that kind. Raises FilterError.

    Usual expressions take well under a millisecond. After `preload`, nothing is looked up outside the machine.
    """
    if len(expression) > MAX_EXPRESSION_SIZE:
        raise FilterError(f"the expression is longer than {MAX_EXPRESSION_SIZE} characters")
    if not expression.isascii() or "\0" in expression:
        raise FilterError("the expression has characters other than ASCII, or NUL")
    text = expression
    for _ in range(_MAX_NAMES):
        try:
            _check(text, link_type)
            break
        except FilterError as error:
            text = _with_port_number(text, error)
    else:
        raise FilterError(f"the expression has more than {_MAX_NAMES} names: use numbers")
    text = _with_protocol_numbers(text, link_type)
    program = Program(expression, _compile(text, link_type, snaplen))
    if program.leaves_the_packet:
        raise FilterError(
            "it asks for data that only a capture has, as inbound, outbound and ifindex do: it never matches"
        )
    return program


def preload() -> None:
    """Makes names in filters work in a chroot; the daemon calls it before it enters its own.

    Reads the system's names of ports and protocols. From now on this process does not ask the DNS for host names:
    only numeric addresses and /etc/hosts are left, because the daemon's helper resolves names.
    """
    libc = ctypes.PyDLL(None)
    _services.clear()
    _protocols.clear()
    for name, port in _entries(libc, "serv"):
        _services.setdefault(name, socket.ntohs(port & 0xFFFF))
    for name, number in _entries(libc, "proto"):
        _protocols.setdefault(name, number)
    configure_lookup = getattr(libc, "__nss_configure_lookup", None)  # glibc's own; <nss.h>
    if configure_lookup is not None:
        for database in (b"hosts", b"networks"):
            configure_lookup(database, b"files")


def _compile(text: str, link_type: LinkType, snaplen: int) -> _ProgramStruct:
    """Compiles `text`; the caller frees the result."""
    handle = _pcap.pcap_open_dead(link_type.value, snaplen)
    if not handle:
        raise MemoryError
    struct = _ProgramStruct()
    try:
        if _pcap.pcap_compile(handle, struct, text.encode(), 1, _NETMASK_UNKNOWN) != 0:
            words = _pcap.pcap_geterr(handle).decode(errors="replace")
            hint = ": use its number or address" if _UNRESOLVED.match(words) else ""
            raise FilterError(words + hint)
    finally:
        _pcap.pcap_close(handle)
    return struct


def _check(text: str, link_type: LinkType) -> None:
    """Raises FilterError for a wrong expression, but not if no packet can match it."""
    try:
        _pcap.pcap_freecode(_compile(text, link_type, 65535))
    except FilterError as error:
        if not str(error).startswith(_REJECTS_ALL):  # libpcap's last check; a replaced name may change it
            raise


def _with_port_number(text: str, error: FilterError) -> str:
    """Replaces the port name that libpcap did not find by its number, or raises the error again."""
    unknown = _UNKNOWN_PORT.match(str(error))
    number = _services.get(unknown[1]) if unknown else None
    for word in _WORD.finditer(text):
        if number is not None and unknown is not None and _name(word) == unknown[1]:
            return f"{text[: word.start()]}{number}{text[word.end() :]}"
    raise error


def _with_protocol_numbers(text: str, link_type: LinkType) -> str:
    """Replaces protocol names that libpcap took for 0 by their numbers.

    Without the table of protocols libpcap takes any name for protocol 0, even a made-up one. So a place where a made-up
    name is accepted is a protocol's.
    """

    def is_right(changed: str) -> bool:
        try:
            _check(changed, link_type)
        except FilterError:
            return False
        return True

    if "proto" not in text or not is_right(f"ip proto {_NO_SUCH_NAME}"):
        return text
    # From the end, so that earlier positions stay valid.
    for word in reversed(list(_WORD.finditer(text))):
        before, after = text[: word.start()], text[word.end() :]
        # An unescaped keyword is no name, even if a name could stand in its place.
        is_name = word["escaped"] is not None or is_right(f"ip proto {word['plain']}")
        if not is_name or not is_right(f"{before}{_NO_SUCH_NAME}{after}"):
            continue
        name = _name(word)
        if name not in _protocols:
            raise FilterError(f"unknown ip proto '{name}': use its number")
        text = f"{before}{_protocols[name]}{after}"
    return text


def _name(word: re.Match[str]) -> str:
    return word["escaped"] or word["plain"]


def _entries(libc: ctypes.PyDLL, table: str) -> Iterator[tuple[str, int]]:
    """Names and aliases with their numbers, from libc's table `serv` or `proto`."""
    get_next = getattr(libc, f"get{table}ent")
    get_next.restype = ctypes.POINTER(_ServiceEntry)
    getattr(libc, f"set{table}ent")(0)
    while entry := get_next():
        names = [entry.contents.name]
        for alias in entry.contents.aliases:
            if alias is None:
                break
            names.append(alias)
        for name in names:
            yield name.decode(errors="replace"), entry.contents.number
    getattr(libc, f"end{table}ent")()
