# SPDX-License-Identifier: BSD-2-Clause
"""Packets and captures, byte by byte."""
import ipaddress
import struct

ETHERNET, NULL, RAW, LOOP, SLL, IPV4, IPV6, SLL2 = \
    1, 0, 101, 108, 113, 228, 229, 276


def be(fmt, *values):
    return struct.pack(">" + fmt, *values)


def udp(payload, sport=50000, dport=2055, length=None):
    length = 8 + len(payload) if length is None else length
    return be("HHHH", sport, dport, length, 0) + payload


def ipv4(body, src="192.0.2.1", dst="192.0.2.254", proto=17, frag=0,
         options=b"", total=None):
    header = 20 + len(options)
    total = header + len(body) if total is None else total
    return be("BBHHHBBH", 0x40 | header // 4, 0, total, 7, frag, 64, proto,
              0) + ipaddress.ip_address(src).packed + \
        ipaddress.ip_address(dst).packed + options + body


def ipv6(body, src="2001:db8::1", proto=17, length=None):
    length = len(body) if length is None else length
    return be("IHBB", 6 << 28, length, proto, 64) + \
        ipaddress.ip_address(src).packed + \
        ipaddress.ip_address("2001:db8::fe").packed + body


def kind(ip):
    return 0x86dd if ip[0] >> 4 == 6 else 0x0800


def ethernet(ip, *tags, pad=b""):
    """TAGS are the ethertypes of VLAN tags, the outer first."""
    head = b"\2\0\0\0\0\1\2\0\0\0\0\2"
    for n, tag in enumerate(tags):
        head += be("HH", tag, 100 + n)
    return head + be("H", kind(ip)) + ip + pad


def sll(ip):
    return be("HHH", 0, 1, 6) + b"\2\0\0\0\0\1\0\0" + be("H", kind(ip)) + ip


def sll2(ip):
    return be("HHIHBB", kind(ip), 0, 2, 1, 0, 6) + b"\2\0\0\0\0\1\0\0" + ip


def pcap(packets, link=ETHERNET, order="<", snap=262144, nano=False,
         start=1700000000):
    """PACKETS are bytes, or (captured bytes, original length); the n-th has
    the time START + n seconds and n * 1000 + 1 microseconds."""
    magic = 0xa1b23c4d if nano else 0xa1b2c3d4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)
    for n, p in enumerate(packets):
        p, length = p if isinstance(p, tuple) else (p, len(p))
        fraction = (n * 1000 + 1) * (1000 if nano else 1)
        out += struct.pack(order + "IIII", start + n, fraction, len(p), length)
        out += p
    return out


def block(order, number, body):
    body += b"\0" * (-len(body) % 4)
    total = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", number) + total + body + total


def pcapng(packets, link=ETHERNET, order="<", resolution=6, start=1700000000):
    """The same with pcapng's enhanced packet blocks, and blocks between that
    a reader skips."""
    def option(code, value):
        return struct.pack(order + "HH", code, len(value)) + value + \
            b"\0" * (-len(value) % 4)

    out = block(order, 0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1,
                                               0, -1))
    out += block(order, 1, struct.pack(order + "HHI", link, 0, 0) +
                 option(9, bytes([resolution])) + option(0, b""))
    out += block(order, 0x0bad, b"unknown")
    for n, p in enumerate(packets):
        p, length = p if isinstance(p, tuple) else (p, len(p))
        when = (start + n) * 10**resolution + \
            (n * 1000 + 1) * 10**resolution // 10**6
        out += block(order, 6, struct.pack(order + "IIIII", 0, when >> 32,
                                           when & 0xffffffff, len(p), length)
                     + p)
    return out
