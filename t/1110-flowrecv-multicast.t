#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: multicast groups and interfaces."""
import socket
import struct

import receiver
import tap

SEE = "\nsee flowrecv --help\n"


def send(group, port, payload):
    """From the loopback interface."""
    lo = socket.if_nametoindex("lo")
    if ":" in group:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, lo)
            s.sendto(payload, (group, port, 0, lo))
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                         struct.pack("=4s4si", b"\0" * 4, b"\x7f\0\0\1", lo))
            s.sendto(payload, (group, port))


def test_groups(scratch):
    """a group gets what is sent to it and nothing else"""
    a, = receiver.free_ports(1)
    with receiver.Receiver(scratch, f"x=[239.1.2.3%lo]:{a}",
                           f"y=[239.1.2.4%lo]:{a}") as r:
        tap.equal(f"x: listening on [239.1.2.3%lo]:{a}, " in r.said(), True,
                  r.said())
        for group in "239.1.2.3", "239.1.2.4", "239.1.2.5":
            send(group, a, group.encode())
        receiver.send(a, [b"unicast"])
        r.wait_received(2)
        tap.equal(r.control("bindings")[1].splitlines()[2:],
                  [f"name=x, port={a}, address=239.1.2.3%lo",
                   f"name=y, port={a}, address=239.1.2.4%lo"])
        got = sorted((d[3], d[7]) for d in r.datagrams())
    tap.equal(got, [("x", b"239.1.2.3"), ("y", b"239.1.2.4")])


def test_ipv6(scratch):
    """groups of IPv6"""
    a, = receiver.free_ports(1)
    try:
        send("ff02::1:2:3", a, b"")
    except OSError as why:
        raise tap.Skip(f"no multicast over IPv6: {why}")
    with receiver.Receiver(scratch, f"[ff02::1:2:3%lo]:{a}") as r:
        send("ff02::1:2:4", a, b"no")
        send("ff02::1:2:3", a, b"yes")
        r.wait_received(1)
        tap.equal([d[7] for d in r.datagrams()], [b"yes"])


def test_run_time(scratch):
    """a group that is left and joined again while it runs"""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, f"x={a}") as r:
        for turn in range(1, 4):
            r.open("g", f"[239.1.2.3%lo]:{b}")
            send("239.1.2.3", b, b"x")
            r.wait_received(turn)
            tap.equal(r.control("close", "g")[0], 0, "exit status")
        with open("/proc/net/igmp") as f:
            tap.equal("030201EF" in f.read(), False, "the group is left")


def test_errors(scratch):
    """interfaces that are not there, or not needed"""
    port, = receiver.free_ports(1)
    for text, code, said in (
            (f"[239.1.1.1%none0]:{port}", 1,
             f"default: [239.1.1.1%none0]:{port}: there is no interface none0; "
             "to see those that are: ip link\n"),
            (f"[ff02::1]:{port}", 1, f"default: cannot bind [ff02::1]:{port}: "
             "Invalid argument; say on which interface: "
             "[ADDRESS%INTERFACE]:PORT\n"),
            (f"[192.0.2.1%lo]:{port}", 2,
             f"[192.0.2.1%lo]:{port}: an interface goes with a multicast group "
             "or a link-local address, not with 192.0.2.1" + SEE),
            ("[239.1.1.1%]:9", 2, "[239.1.1.1%]:9: '' is no name of an "
             "interface" + SEE),
            ("[239.1.1.1%l/o]:9", 2, "[239.1.1.1%l/o]:9: 'l/o' is no name of "
             "an interface" + SEE)):
        tap.equal(receiver.command(text), (code, "", "flowrecv: " + said))


tap.main(globals())
