# SPDX-License-Identifier: BSD-2-Clause
"""A real exporter: softflowd, and a capture of conversations for it."""
import random
import socket
import struct
import subprocess

import netflow


def packet4(src, dst, protocol, body):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64,
                       protocol, 0, socket.inet_aton(src),
                       socket.inet_aton(dst))
    return b"\2" * 12 + b"\x08\x00" + head + body


def packet6(src, dst, protocol, body):
    head = struct.pack("!IHBB16s16s", 6 << 28, len(body), protocol, 64,
                       socket.inet_pton(socket.AF_INET6, src),
                       socket.inet_pton(socket.AF_INET6, dst))
    return b"\2" * 12 + b"\x86\xdd" + head + body


def tcp(sport, dport, flags, size):
    return struct.pack("!HHIIBBHHH", sport, dport, 0, 0, 0x50, flags, 8192, 0,
                       0) + b"x" * size


def udp(sport, dport, size):
    return struct.pack("!HHHH", sport, dport, 8 + size, 0) + b"x" * size


def packets(with_ipv6):
    """(seconds, frame) of some hundred conversations, in order of time."""
    rng = random.Random(1)
    made = []
    for i in range(400):
        six = with_ipv6 and i % 4 == 0
        pack = packet6 if six else packet4
        ends = ((f"2001:db8::{i % 60:x}", f"2001:db8:1::{i % 7:x}") if six else
                (f"10.0.{i % 3}.{i % 60}", f"192.0.2.{i % 7 + 1}"))
        at, port = rng.uniform(0, 50), rng.randrange(1024, 65536)
        for _ in range(rng.choice((1, 2, 5, 40))):
            at += rng.expovariate(20)
            size = rng.randrange(0, 1400)
            if i % 5 == 0:
                made.append((at, pack(*ends, 17, udp(port, 53, size))))
            else:
                made.append((at, pack(*ends, 6, tcp(port, 443, 0x18, size))))
                made.append((at, pack(*ends[::-1], 6,
                                      tcp(443, port, 0x10, 0))))
    return sorted(made)


def write_capture(path, with_ipv6):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for at, frame in packets(with_ipv6):
            f.write(struct.pack("<IIII", 1700000000 + int(at),
                                int(at % 1 * 1e6), len(frame), len(frame)))
            f.write(frame)


def export(scratch, version, port, with_ipv6):
    """Sends the flows of some hundred conversations to a port."""
    netflow.need("softflowd")
    path = scratch / "traffic.pcap"
    write_capture(path, with_ipv6)
    subprocess.run(["softflowd", "-d", "-v", str(version), "-r", str(path),
                    "-n", f"127.0.0.1:{port}"], check=True, timeout=60,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
