from __future__ import annotations

from pathlib import Path

from .facts import system_of

SNMP = "Ip: Forwarding InAddrErrors InHdrErrors\nIp: 2 12 3\nIcmp: InMsgs\nIcmp: 4\n"
UDP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  51: 0100007F:13D8 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2 0000000000000000 170
  52: 0100007F:13D9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2 0000000000000000 5
"""


def test_parameters(tmp_path: Path) -> None:
    system = system_of(tmp_path, proc__sys__net__core__rmem_max="212992\n", proc__sys__net__core__word="one\n")
    assert system.parameter("net/core/rmem_max") == 212992
    assert system.parameter("net/core/word") is None
    assert system.parameter("net/core/none") is None


def test_forwarding(tmp_path: Path) -> None:
    conf = tmp_path / "proc/sys/net"
    system = system_of(
        tmp_path,
        proc__sys__net__ipv4__conf__all__forwarding="1",
        proc__sys__net__ipv4__conf__tun9__forwarding="0",
        proc__sys__net__ipv6__conf__all__forwarding="0",
        proc__sys__net__ipv6__conf__tun9__forwarding="1",
    )
    assert not system.forwards(4, "tun9")
    assert system.forwards(4, "gone")
    assert not system.forwards(6, "tun9")
    (conf / "ipv6/conf/all/forwarding").write_text("1")
    assert system.forwards(6, "tun9")


def test_counters(tmp_path: Path) -> None:
    system = system_of(
        tmp_path, proc__net__snmp=SNMP, proc__net__snmp6="Ip6InAddrErrors \t5\nodd\n", proc__net__udp=UDP
    )
    assert (system.misaddressed(4), system.misaddressed(6)) == (12, 5)
    assert [system.unread(port) for port in (5080, 5081, 5082)] == [170, 5, 0]
    nothing = system_of(tmp_path / "none")
    assert (nothing.misaddressed(4), nothing.misaddressed(6), nothing.unread(5080)) == (0, 0, 0)


def test_speed(tmp_path: Path) -> None:
    system = system_of(tmp_path, sys__class__net__eth0__speed="1000\n", sys__class__net__eth1__speed="-1\n")
    assert [system.speed(name) for name in ("eth0", "eth1", "ppp0")] == [125_000_000, 0, 0]


def test_name_servers(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text(
        "# x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver odd\nsearch x\n"
    )
    system = system_of(tmp_path)
    assert [str(one) for one in system.nameservers()] == ["192.0.2.1", "fe80::1"]
    (tmp_path / "etc/resolv.conf").write_text("nameserver 127.0.0.53\n")
    assert [str(one) for one in system.nameservers()] == ["127.0.0.53"]
    (tmp_path / "run/systemd/resolve").mkdir(parents=True)
    (tmp_path / "run/systemd/resolve/resolv.conf").write_text("nameserver 192.0.2.9\n")
    assert [str(one) for one in system.nameservers()] == ["192.0.2.9"]


def test_hosts_and_the_old_iptables(tmp_path: Path) -> None:
    system = system_of(
        tmp_path, etc__hosts="127.0.0.1 localhost here\n# 1.2.3.4 there\n", proc__net__ip_tables_names="\n"
    )
    assert [system.in_hosts(name) for name in ("here", "there", "127.0.0.1")] == [True, False, False]
    assert system.hidden_tables()
    assert not system_of(tmp_path / "none").hidden_tables()
