#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv --read: every kind of link and capture."""
import ipaddress
import os

import packets
import receiver
import tap
from packets import ethernet, ipv4, ipv6, udp

START = 1700000000 * 1000000


def read(scratch, data, *options, name="capture"):
    path = scratch / name
    path.write_bytes(data)
    done = receiver.run("--read", path, *options)
    return done, receiver.unpack(done.stdout)


def check(scratch, data, wanted):
    """WANTED: (index in the capture, address, port, payload)."""
    done, got = read(scratch, data)
    tap.equal(done.stderr, b"", "stderr")
    tap.equal(done.returncode, 0, "exit status")
    tap.equal([d[4:] for d in got],
              [[START + n * 1001000 + 1, ipaddress.ip_address(a).packed, p,
                payload] for n, a, p, payload in wanted])
    tap.equal([d[:4] for d in got], [[1, got[0][1], n + 1, "default"]
                                     for n in range(len(got))])


def check_link(scratch, link, wrap):
    """Both versions of IP, in pcap and pcapng, of either byte order."""
    frames = [wrap(ipv4(udp(b"four", 1000))), wrap(ipv6(udp(b"six", 2000))),
              wrap(ipv4(udp(b"", 3000), src="10.0.0.1"))]
    wanted = [(0, "192.0.2.1", 1000, b"four"), (1, "2001:db8::1", 2000,
                                               b"six"),
              (2, "10.0.0.1", 3000, b"")]
    for order in "<", ">":
        check(scratch, packets.pcap(frames, link, order), wanted)
        check(scratch, packets.pcapng(frames, link, order), wanted)


def test_ethernet(scratch):
    """Ethernet"""
    check_link(scratch, packets.ETHERNET, ethernet)


def test_padding(scratch):
    """Ethernet frames that are padded"""
    check_link(scratch, packets.ETHERNET,
               lambda ip: ethernet(ip, pad=b"\xee" * 20))


def test_vlan(scratch):
    """VLAN tags: 802.1Q, 802.1ad, nested"""
    for tags in (0x8100,), (0x88a8,), (0x88a8, 0x8100), (0x9100, 0x8100), \
            (0x8100,) * 5:
        check_link(scratch, packets.ETHERNET,
                   lambda ip, tags=tags: ethernet(ip, *tags))


def test_cooked(scratch):
    """Linux cooked, version 1"""
    check_link(scratch, packets.SLL, packets.sll)


def test_cooked_2(scratch):
    """Linux cooked, version 2"""
    check_link(scratch, packets.SLL2, packets.sll2)


def test_raw(scratch):
    """raw IP"""
    check_link(scratch, packets.RAW, lambda ip: ip)


def test_raw_one(scratch):
    """raw IPv4 and raw IPv6"""
    check(scratch, packets.pcap([ipv4(udp(b"x"))], packets.IPV4),
          [(0, "192.0.2.1", 50000, b"x")])
    check(scratch, packets.pcap([ipv6(udp(b"x"))], packets.IPV6),
          [(0, "2001:db8::1", 50000, b"x")])


def test_loopback(scratch):
    """BSD loopback: whatever its system calls IPv6, in either byte order"""
    for link in packets.NULL, packets.LOOP:
        for six in 10, 24, 28, 30:
            for fmt in "<I", ">I":
                def wrap(ip, six=six, fmt=fmt):
                    family = six if ip[0] >> 4 == 6 else 2
                    return packets.struct.pack(fmt, family) + ip
                check_link(scratch, link, wrap)


def test_options(scratch):
    """IPv4 options"""
    check(scratch, packets.pcap([ethernet(ipv4(udp(b"x"), options=b"\1" * n))
                                 for n in (4, 40)]),
          [(0, "192.0.2.1", 50000, b"x"), (1, "192.0.2.1", 50000, b"x")])


def test_extensions(scratch):
    """IPv6 extension headers, and a fragment header of a whole packet"""
    hop = b"\x2b\0" + b"\0" * 6                # then routing
    routing = b"\x3c\2" + b"\0" * 22           # then destination options
    dest = b"\x33\0" + b"\0" * 6               # then authentication
    auth = b"\x2c\4" + b"\0" * 22              # then fragment
    whole = b"\x87\0\0\0" + b"\0\0\0\7"        # then mobility
    mobility = b"\x11\1" + b"\0" * 14          # then UDP
    body = hop + routing + dest + auth + whole + mobility + udp(b"deep")
    check(scratch, packets.pcap([ethernet(ipv6(body, proto=0))]),
          [(0, "2001:db8::1", 50000, b"deep")])


def test_offload(scratch):
    """packets whose lengths the network card was to fill in"""
    check(scratch, packets.pcap([ethernet(ipv4(udp(b"a"), total=0)),
                                 ethernet(ipv6(udp(b"b"), length=0))]),
          [(0, "192.0.2.1", 50000, b"a"), (1, "2001:db8::1", 50000, b"b")])


def test_nanoseconds(scratch):
    """captures with nanoseconds, pcap and pcapng"""
    frames = [ethernet(ipv4(udp(b"x")))] * 3
    wanted = [(n, "192.0.2.1", 50000, b"x") for n in range(3)]
    check(scratch, packets.pcap(frames, nano=True), wanted)
    check(scratch, packets.pcapng(frames, resolution=9), wanted)


def test_largest(scratch):
    """the largest datagrams, and many of them"""
    frames = [ethernet(ipv4(udp(bytes([n]) * 65507))) for n in range(100)]
    check(scratch, packets.pcap(frames),
          [(n, "192.0.2.1", 50000, bytes([n]) * 65507) for n in range(100)])


def test_other(scratch):
    """what is not UDP is passed over, and counted with -v"""
    frames = [ethernet(ipv4(b"tcp" * 10, proto=6)),
              ethernet(ipv4(udp(b"x"))),
              ethernet(ipv6(b"icmp" * 10, proto=58)),
              b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\x06" + b"\0" * 28]
    done, got = read(scratch, packets.pcap(frames), "-v")
    tap.equal([d[7] for d in got], [b"x"])
    tap.equal(done.stderr.decode(), f"flowrecv: {scratch}/capture: 4 packets:"
              " 1 datagrams passed on, 0 skipped, 0 to other ports, 3 not "
              "UDP\n")
    tap.equal(done.returncode, 0, "exit status")


def test_ports(scratch):
    """--port takes some only, --name names them"""
    frames = [ethernet(ipv4(udp(b"%d" % p, dport=p)))
              for p in (2055, 9995, 65535, 1, 2056)]
    done, got = read(scratch, packets.pcap(frames), "-v", "--port",
                     "2055,65535", "--name", "lab")
    tap.equal([(d[3], d[7]) for d in got], [("lab", b"2055"),
                                            ("lab", b"65535")])
    tap.equal(b" 3 to other ports, 0 not UDP\n" in done.stderr, True,
              "counted")


def test_empty(scratch):
    """a capture without packets"""
    done, got = read(scratch, packets.pcap([]))
    tap.equal((done.returncode, done.stderr, got), (0, b"", []))


def test_corpus(_):
    """real captures: as many datagrams as others counted"""
    corpus = os.environ.get("FLOW_CORPUS",
                            str(tap.SOURCE.parent / "shared" / "corpus"))
    if not os.path.exists(corpus + "/truth.tsv"):
        raise tap.Skip("no captures in " + corpus)
    with open(corpus + "/truth.tsv") as f:
        head = f.readline().rstrip("\n").split("\t")
        rows = [dict(zip(head, line.rstrip("\n").split("\t"))) for line in f]
    for row in rows:
        done = receiver.run("--read", f"{corpus}/pcap/{row['capture']}.pcap")
        tap.equal((done.returncode, done.stderr), (0, b""), row["capture"])
        tap.equal(len(receiver.unpack(done.stdout)), int(row["datagrams"]),
                  row["capture"])
    tap.comment(f"{len(rows)} captures")


tap.main(globals())
