"""libpcap's filters: what they match, what is refused, and names in a chroot."""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlvpnd.net import bpf
from mlvpnd.net.bpf import FilterError, LinkType

REPOSITORY = Path(__file__).parents[3]
TCP, UDP, OSPF = 6, 17, 89


def ipv4(protocol: int, source_port: int, target_port: int, *, source: str = "10.0.0.1", size: int = 40) -> bytes:
    """An IPv4 packet, its checksums left 0."""
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address("10.0.0.2").packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, protocol, 0) + addresses
    return (header + struct.pack("!HH", source_port, target_port)).ljust(size, b"\0")


def ipv6(protocol: int, source_port: int, target_port: int) -> bytes:
    """An IPv6 packet of 60 bytes."""
    addresses = ipaddress.IPv6Address("2001:db8::1").packed + ipaddress.IPv6Address("2001:db8::2").packed
    payload = struct.pack("!HH", source_port, target_port).ljust(20, b"\0")
    return struct.pack("!IHBB", 0x60000000, len(payload), protocol, 64) + addresses + payload


def ethernet(packet: bytes) -> bytes:
    """The packet in a frame."""
    ether_type = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return bytes.fromhex("020000000001 020000000002") + ether_type.to_bytes(2, "big") + packet


SIP = ipv4(UDP, 40000, 5060)
WEB = ipv4(TCP, 40000, 80, source="10.1.0.1")


@pytest.mark.parametrize(
    ("link_type", "framed"), [(LinkType.RAW, bytes), (LinkType.ETHERNET, ethernet)], ids=["tun", "tap"]
)
@pytest.mark.parametrize(
    ("expression", "matching", "other"),
    [
        ("udp port 5060", SIP, WEB),
        ("udp port 5060", ipv6(UDP, 40000, 5060), ipv6(TCP, 40000, 5060)),
        ("tcp", WEB, SIP),
        ("ip6", ipv6(TCP, 1, 2), WEB),
        ("src net 10.1.0.0/16", WEB, SIP),
        ("host 2001:db8::1", ipv6(TCP, 1, 2), WEB),
        ("less 100 and udp", SIP, ipv4(UDP, 40000, 5060, size=101)),
        ("ip[9] = 17 and not port 53", SIP, ipv4(UDP, 40000, 53)),
    ],
)
def test_packets_that_match(
    link_type: LinkType, framed: Callable[[bytes], bytes], expression: str, matching: bytes, other: bytes
) -> None:
    program = bpf.compile(expression, link_type)
    assert program.expression == expression
    assert program.matches(framed(matching)) is True
    assert program.matches(framed(other)) is False


def test_tap_filters_see_the_ethernet_header() -> None:
    program = bpf.compile("ether dst 02:00:00:00:00:01 and arp or vlan 7", LinkType.ETHERNET)
    assert program.matches(bytes.fromhex("020000000001 020000000002 0806").ljust(60, b"\0"))
    assert program.matches(bytes.fromhex("020000000003 020000000002 8100 0007 0800").ljust(60, b"\0"))
    assert not program.matches(ethernet(SIP))


@pytest.mark.parametrize("size", range(len(SIP)))
def test_a_cut_packet_is_no_error(size: int) -> None:
    program = bpf.compile("udp port 5060", LinkType.RAW)
    assert program.matches(SIP[:size]) is (size >= 24)


def test_the_value_returned_may_have_any_low_byte() -> None:
    assert bpf.compile("udp", LinkType.RAW, snaplen=256).matches(SIP)


def test_the_empty_expression_is_everything() -> None:
    assert bpf.compile("", LinkType.RAW).matches(SIP)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("udpport5060", "syntax error"),
        ("port 80 and", "syntax error"),
        ("udp port 70000", "illegal port number"),
        ("ip and vlan 7", "no VLAN support"),
        ("ifname eth0", "only on PF"),
        ("inbound", "only a capture has"),
        ("udp port 53 or not outbound", "only a capture has"),
        ("ifindex 3 or udp", "only a capture has"),
        ("tcp and udp", "rejects all packets"),
        ("port no-such-port", "unknown port 'no-such-port': use its number"),
        ("portrange no-such-port-80", "use its number"),
        ("ip proto no-such-protocol", "use its number"),
        ("host 1.2.3.4.5", "."),
        ("port 80\0", "or NUL"),
        ("port 80 # café", "ASCII"),
        ("\udcff", "ASCII"),
        pytest.param("ip or " * 1000 + "ip", "longer than 4096", id="size"),
        pytest.param("(" * 4096, ".", id="brackets"),
        pytest.param("ip[" * 1365, ".", id="indexes"),
    ],
)
def test_refused_with_the_reason(expression: str, words: str) -> None:
    with pytest.raises(FilterError, match=words):
        bpf.compile(expression, LinkType.RAW)


@pytest.mark.parametrize(
    "expression",
    ["(" * 2047 + "ip" + ")" * 2047, "!" * 4094 + "ip", "port 1 or " * 409 + "ip", "l1 or " * 682, "-" * 4000 + "1=1"],
    ids=["brackets", "not", "ports", "levels", "minus"],
)
def test_the_largest_expressions_end_soon_and_well(expression: str) -> None:
    begin = time.process_time()
    with contextlib.suppress(FilterError):
        bpf.compile(expression, LinkType.RAW).matches(SIP)
    assert time.process_time() - begin < 20


def test_programs_are_freed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[int | None] = []
    real = bpf._pcap.pcap_freecode

    def count(program: bpf._ProgramStruct) -> None:
        freed.append(program.instructions)
        real(program)

    monkeypatch.setattr(bpf._pcap, "pcap_freecode", count)
    program = bpf.compile("udp", LinkType.RAW)
    kept = program._struct.instructions
    assert program.matches(SIP)
    del freed[:]  # the programs that compile itself tried
    del program
    gc.collect()
    assert freed == [kept]


def test_thousands_of_programs_leave_no_memory_behind() -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def compile_many() -> None:
        for _ in range(3000):
            bpf.compile("udp port 5060 or portrange 16384-32767", LinkType.RAW)
            with pytest.raises(FilterError):
                bpf.compile("udp port", LinkType.RAW)

    compile_many()
    before = resident_bytes()
    compile_many()
    assert resident_bytes() - before < 1 << 20


# Compiles the expressions on standard input; prints for each whether the probes match, or its error.
NAMES_PROGRAM = """
import json, os, sys, time
from mlvpnd.net import bpf
if "preload" in sys.argv:
    bpf.preload()
if "chroot" in sys.argv:
    os.chroot(sys.argv[-1])
    os.chdir("/")
request = json.load(sys.stdin)
answers = []
for expression in request["expressions"]:
    begin = time.monotonic()
    try:
        program = bpf.compile(expression, bpf.LinkType.RAW)
        answer = [program.matches(bytes.fromhex(packet)) for packet in request["packets"]]
    except bpf.FilterError as error:
        answer = str(error)
    assert time.monotonic() - begin < 1, expression
    answers.append(answer)
json.dump(answers, sys.stdout)
"""


def compile_in_process(expressions: list[str], *arguments: str) -> list[list[bool] | str]:
    """Compiles in a process of its own; returns each answer for a SIP, a web and an OSPF packet, or the error."""
    packets = [packet.hex() for packet in (SIP, WEB, ipv4(OSPF, 0, 0))]
    finished = subprocess.run(
        [sys.executable, "-c", NAMES_PROGRAM, *arguments],
        input=json.dumps({"expressions": expressions, "packets": packets}),
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        check=True,
        timeout=30,
    )
    answers: list[list[bool] | str] = json.loads(finished.stdout)
    return answers


def test_host_names_do_not_go_to_the_dns_after_preload() -> None:
    assert compile_in_process(["host host.example.org", "net net.example.org"], "preload") == [
        "unknown host 'host.example.org': use its number or address",
        "unknown network 'net.example.org': use its number or address",
    ]


needs_chroot = pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")

NAMED: dict[str, list[bool]] = {
    "udp port sip": [True, False, False],
    "port domain or sip": [True, False, False],
    "tcp port http and not port https": [False, True, False],
    "ip proto ospf": [False, False, True],
    r"ip proto \tcp": [False, True, False],
    r"ip proto (ospf or \tcp)": [False, True, True],
    r"ip proto ospf or \tcp or udp port sip": [True, True, True],
    r"ip proto \tcp and not ip proto ospf": [False, True, False],
    r"ether proto \ip and ip proto ospf": [False, False, True],
    "ip proto 6 or udp": [True, True, False],
    "host 2001:db8::1 or ip proto ospf and ip[0] = 0x45": [False, False, True],
}


@needs_chroot
def test_names_mean_the_same_in_an_empty_chroot(tmp_path: Path) -> None:
    outside = compile_in_process(list(NAMED), "preload")
    assert outside == list(NAMED.values())
    assert compile_in_process(list(NAMED), "preload", "chroot", str(tmp_path)) == outside


@needs_chroot
@pytest.mark.parametrize("preload", [["preload"], []], ids=["preload", "no preload"])
def test_names_that_nobody_knows_are_refused_in_the_chroot(tmp_path: Path, preload: list[str]) -> None:
    unknown = [
        "port no-such-port",
        "ip proto no-such-protocol",
        r"ip proto 89 or \no-such-protocol",
        "ip proto 3no-such",
        "host localhost",
        "host sip and port sip",
    ]
    answers = compile_in_process(unknown, *preload, "chroot", str(tmp_path))
    assert [answer for answer in answers if "use its number" not in answer] == []


@needs_chroot
def test_without_preload_names_in_a_chroot_are_refused_and_not_taken_for_zero(tmp_path: Path) -> None:
    assert compile_in_process(["udp port sip", "ip proto ospf"], "chroot", str(tmp_path)) == [
        "unknown port 'sip': use its number or address",
        "unknown ip proto 'ospf': use its number",
    ]


def test_a_missing_library_is_said_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "LIBRARY", "libpcap-that-is-not-there.so.9")
    with pytest.raises(ImportError, match=r"libpcap-that-is-not-there\.so\.9, which the filters need"):
        bpf._load()
