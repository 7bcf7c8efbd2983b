#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: who may send, and the counters of each exporter."""
import socket

import netflow
import receiver
import tap


def send_from(address, port, n=1, payload=b"x"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((address, 0))
        for _ in range(n):
            s.sendto(payload, ("127.0.0.1", port))


def tally(received, refused=0):
    return {"received": received, "refused": refused, "dropped": 0,
            "queued": 0, "sent": received - refused}


def test_each(scratch):
    """each exporter is counted at each port"""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, f"a={a}", f"b=127.0.0.1:{b}") as r:
        send_from("127.0.0.1", a, 3)
        send_from("127.0.0.2", a, 2)
        send_from("127.0.0.2", b, 4)
        r.wait_received(9)
        tap.equal(r.exporters(), ({("a", "127.0.0.1"): tally(3),
                                   ("a", "127.0.0.2"): tally(2),
                                   ("b", "127.0.0.2"): tally(4)}, 3, 0))


def test_allow(scratch):
    """--allow takes those that it lists and counts the others"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, "--allow=127.0.1.0/24,10.0.0.0/8",
                           "--allow=127.0.0.9", port) as r:
        for n, address in enumerate(("127.0.1.1", "127.0.1.255", "127.0.2.1",
                                     "127.0.0.9", "127.0.0.8"), 1):
            send_from(address, port, n, address.encode())
        r.wait_received(15)
        got = r.datagrams()
        tap.equal(r.counters()["default"],
                  {**tally(15, 8), "kernel": 0}, "of the port")
        found, known, evicted = r.exporters()
        tap.equal((known, evicted), (5, 0), "known and evicted")
        tap.equal(found[("default", "127.0.2.1")], tally(3, 3), "one refused")
        tap.equal(found[("default", "127.0.0.9")], tally(4), "one allowed")
        said = "127.0.2.1 is refused: it is in no --allow"
        tap.equal(f"flowrecv: default: {said}\n" in r.said(), True, r.said())
    tap.equal([d[7] for d in got], [b"127.0.1.1"] + [b"127.0.1.255"] * 2 +
              [b"127.0.0.9"] * 4, "those that are allowed")
    tap.equal([d[2] for d in got], list(range(1, 8)), "numbers")


def test_allow_ipv6(scratch):
    """networks of IPv6 and of IPv4 do not mix"""
    try:
        receiver.free_ports(1, "::1")
    except OSError as why:
        raise tap.Skip(f"no IPv6: {why}")
    port, = receiver.free_ports(1)
    for allow, wanted in (("::1", [b"6"]), ("::/0", [b"4", b"6"]),
                          ("0.0.0.0/0", [b"4"]), ("::/127", [b"6"]),
                          ("2001:db8::/32", [])):
        with receiver.Receiver(scratch, "--allow=" + allow, port) as r:
            receiver.send(port, [b"4"])
            receiver.send(port, [b"6"], host="::1")
            r.wait_received(2)
            tap.equal([d[7] for d in r.datagrams()], wanted, allow)


def test_flood(scratch):
    """a flood of addresses: a bounded number is known, and those in use stay"""
    port, = receiver.free_ports(1)
    known = 4096
    with receiver.Receiver(scratch, port) as r:
        send_from("127.0.0.1", port, 50)
        for n in range(3 * known):
            send_from(f"127.{1 + n // 62500}.{n // 250 % 250}.{1 + n % 250}",
                      port)
            if n % 500 == 0:
                send_from("127.0.0.1", port)
        total = 50 + 3 * known + 25
        r.wait_received(total)
        tap.equal(r.stop(), 0, "exit status")
        found, n, evicted = r.exporters()
        tap.equal(r.counters()["default"]["sent"], total, "sent")
    tap.equal(n <= known and n + evicted == 3 * known + 1, True,
              f"known {n}, evicted {evicted}")
    tap.equal(found[("default", "127.0.0.1")], tally(75), "the one in use")


tap.main(globals())
