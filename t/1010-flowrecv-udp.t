#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: datagrams that come to its ports."""
import os
import shutil
import socket
import subprocess
import time

import netflow
import receiver
import tap

V1 = b"\xc0\x00\x02\x01"


def test_default(scratch):
    """one port: the name is default, and each element is right"""
    port, = receiver.free_ports(1)
    before = time.time_ns() // 1000
    with receiver.Receiver(scratch, port) as r:
        source = receiver.send(port, [b"one", b"", b"three"])
        r.wait_received(3)
        got = r.datagrams()
    after = time.time_ns() // 1000
    stream = got[0][1]
    times = [d[4] for d in got]
    tap.equal(got, [[1, stream, n + 1, "default", times[n],
                     b"\x7f\0\0\1", source, p]
                    for n, p in enumerate([b"one", b"", b"three"])])
    tap.equal(before <= times[0] <= times[1] <= times[2] <= after, True,
              "the times are those of arrival")


def test_kernel_time(scratch):
    """the time is when the kernel had it, not when it was read"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r:
        r.freeze()
        receiver.send(port, [b"x"])
        sent = time.time_ns() // 1000
        time.sleep(0.3)
        r.thaw()
        got = r.datagrams()
    tap.equal(got[0][4] <= sent + 100000, True, "time of arrival")


def test_identity(scratch):
    """every start is another stream"""
    seen = set()
    for _ in range(3):
        port, = receiver.free_ports(1)
        with receiver.Receiver(scratch, port) as r:
            receiver.send(port, [b"x"])
            got = r.datagrams()
        tap.equal([d[2] for d in got], [1], "numbers")
        seen.add(got[0][1])
    tap.equal(len(seen), 3, "identities")


def test_names(scratch):
    """several ports: names, and numbers for those without"""
    a, b, c = receiver.free_ports(3)
    with receiver.Receiver(scratch, f"core-1.x_y={a}", b,
                           f"127.0.0.1:{c}") as r:
        for port in a, b, c:
            receiver.send(port, [b"to %d" % port] * 2)
        r.wait_received(6)
        got = r.datagrams()
    tap.equal(sorted((d[3], d[7]) for d in got),
              sorted([("core-1.x_y", b"to %d" % a), (str(b), b"to %d" % b),
                      (str(c), b"to %d" % c)] * 2))
    tap.equal([d[2] for d in got], [1, 2, 3, 4, 5, 6], "numbers")


def test_one_name(scratch):
    """one port with a name"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, f"x=127.0.0.1:{port}") as r:
        receiver.send(port, [b"x"])
        tap.equal([d[3] for d in r.datagrams()], ["x"])


def need_ipv6():
    try:
        receiver.free_ports(1, "::1")
    except OSError as why:
        raise tap.Skip(f"no IPv6: {why}")


def test_dual_stack(scratch):
    """a bare port takes IPv6 and IPv4; an IPv4 exporter has 4 bytes"""
    need_ipv6()
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r:
        p4 = receiver.send(port, [b"four"])
        p6 = receiver.send(port, [b"six"], host="::1")
        r.wait_received(2)
        got = r.datagrams()
    tap.equal([d[5:] for d in got], [[b"\x7f\0\0\1", p4, b"four"],
                                     [b"\0" * 15 + b"\1", p6, b"six"]])


def test_addresses(scratch):
    """an address takes its own family alone, also the wildcards"""
    need_ipv6()
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, f"six=[::]:{port}",
                           f"four=0.0.0.0:{port}") as r:
        receiver.send(port, [b"4"])
        receiver.send(port, [b"6"], host="::1")
        r.wait_received(2)
        got = r.datagrams()
    tap.equal(sorted((d[3], d[7]) for d in got),
              [("four", b"4"), ("six", b"6")])


def test_loopback_only(scratch):
    """an address keeps others out"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, f"127.0.0.1:{port}") as r:
        receiver.send(port, [b"in"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"out", ("127.0.0.2", port))
        r.wait_received(1)
        tap.equal([d[7] for d in r.datagrams()], [b"in"])


def test_no_ipv6(scratch):
    """a bare port on a machine without IPv6"""
    netflow.need("strace")
    probe = subprocess.run(
        ["strace", "-qq", "-e", "trace=none", "-e", "inject=getpid:retval=1",
         "true"], stderr=subprocess.PIPE)
    if probe.returncode != 0:
        raise tap.Skip("strace may not trace here")
    port, = receiver.free_ports(1)
    # the first socket is for commands, the second would be IPv6's; -D: our
    # child is flowrecv, not strace, whose end would leave it running
    prefix = ["strace", "-D", "-qq", "-o", str(scratch / "trace"), "-e",
              "inject=socket:error=EAFNOSUPPORT:when=2"]
    with receiver.Receiver(scratch, port, prefix=prefix) as r:
        tap.equal(f"default: listening on 0.0.0.0:{port}," in r.said(), True,
                  r.said())
        receiver.send(port, [b"x"])
        netflow.wait_for(lambda: r.out.stat().st_size, "the datagram")
    tap.equal([d[5] for d in receiver.unpack(r.out.read_bytes())],
              [b"\x7f\0\0\1"])


def test_largest(scratch):
    """datagrams of 65,507 bytes, alone and many in a row"""
    port, = receiver.free_ports(1)
    payloads = [bytes([n]) * (65507 - n % 3) for n in range(200)]
    with receiver.Receiver(scratch, port) as r:
        r.freeze()
        receiver.send(port, payloads)
        r.thaw()
        r.wait_received(200)
        got = r.datagrams()
    tap.equal([d[7] for d in got] == payloads, True, "all payloads equal")


def test_order(scratch):
    """a flood of all sizes comes whole and in order"""
    port, = receiver.free_ports(1)
    payloads = [n.to_bytes(4, "big") * (1 + n * 7919 % 375)
                for n in range(20000)]
    with receiver.Receiver(scratch, port) as r:
        for at in range(0, len(payloads), 5000):
            receiver.send(port, payloads[at:at + 5000])
            r.wait_received(at + 5000)
        got = r.datagrams()
        tap.equal(r.counters()["default"]["kernel"], 0, "kernel's drops")
    tap.equal([d[7] for d in got] == payloads, True, "all payloads equal")
    tap.equal([d[2] for d in got] == list(range(1, 20001)), True, "numbers")


def test_lone(scratch):
    """a lone datagram goes out at once"""
    port, = receiver.free_ports(1)
    least = 10.0
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, port, stdout=write_end):
        os.close(write_end)
        for _ in range(20):
            begin = time.monotonic()
            receiver.send(port, [b"x"])
            tap.equal(len(receiver.unpack(os.read(read_end, 65536))), 1)
            least = min(least, time.monotonic() - begin)
            time.sleep(0.01)
    os.close(read_end)
    # the least of 20: what a busy machine adds is not its fault
    tap.equal(least < 0.01, True, f"under 10 ms: {least * 1000:.2f} ms")


def test_buffer(scratch):
    """the receive buffer is what was asked for"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, "--receive-buffer", "100K", port) as r:
        tap.equal(r.said(), "flowrecv: default: listening on "
                  f"[::]:{port}, receive buffer 102400 bytes\n")


def test_buffer_limited(scratch):
    """a kernel that grants less: how much, and how to raise it"""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        raise tap.Skip("needs root, to be without its rights")
    with open("/proc/sys/net/core/rmem_max") as f:
        limit = int(f.read())
    if limit >= 1 << 30:
        raise tap.Skip("the kernel's limit is above what can be asked for")
    port, = receiver.free_ports(1)
    prefix = ["setpriv", "--bounding-set=-net_admin",
              "--inh-caps=-net_admin"]
    with receiver.Receiver(scratch, "--receive-buffer", "1G", port,
                           prefix=prefix) as r:
        tap.equal(r.said().splitlines()[0],
                  "flowrecv: default: the kernel granted a receive buffer of "
                  f"{limit} bytes, not 1073741824; to raise it: sysctl -w "
                  "net.core.rmem_max=1073741824")


tap.main(globals())
