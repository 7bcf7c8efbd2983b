#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: on a terminal it writes lines of JSON."""
import json
import os
import pty
import re
import tty

import packets
import receiver
import tap


def open_terminal():
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return ours, theirs


def read_lines(fd, n):
    data = b""
    while data.count(b"\n") < n:
        data += os.read(fd, 65536)
    tap.equal(data.count(b"\n"), n, "lines")
    return [json.loads(line) for line in data.decode().splitlines()]


def test_udp(scratch):
    """datagrams from a port"""
    port, = receiver.free_ports(1)
    ours, theirs = open_terminal()
    with receiver.Receiver(scratch, f"lab={port}", stdout=theirs) as r:
        payloads = [b"\0\5" + b"x" * 1462, b"\0\x0a", b"\xff\xff", b"\0", b""]
        source = receiver.send(port, payloads)
        got = read_lines(ours, 5)
        tap.equal(r.stop(), 0, "exit status")
    for d, p, version in zip(got, payloads, (5, 10, 65535, None, None)):
        tap.equal(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z",
                               d.pop("time")) is None, False, "time")
        tap.equal(d, {"binding": "lab", "exporter": "127.0.0.1",
                      "port": source, "length": len(p), "version": version})
    os.close(ours)
    os.close(theirs)


def test_capture(scratch):
    """datagrams from a capture: every field"""
    (scratch / "x").write_bytes(packets.pcap(
        [packets.ipv4(packets.udp(b"\0\x09ab")),
         packets.ipv6(packets.udp(b"\0\x0a"), src="2001:db8::a")],
        packets.RAW))
    ours, theirs = open_terminal()
    done = receiver.subprocess.run(
        [tap.program("flowrecv"), "--read", str(scratch / "x"), "--name",
         "n" * 63], stdout=theirs, stderr=receiver.subprocess.PIPE)
    got = read_lines(ours, 2)
    tap.equal((done.returncode, done.stderr), (0, b""))
    tap.equal(got, [
        {"time": "2023-11-14T22:13:20.000001Z", "binding": "n" * 63,
         "exporter": "192.0.2.1", "port": 50000, "length": 4, "version": 9},
        {"time": "2023-11-14T22:13:21.001001Z", "binding": "n" * 63,
         "exporter": "2001:db8::a", "port": 50000, "length": 2,
         "version": 10}])
    os.close(ours)
    os.close(theirs)


tap.main(globals())
