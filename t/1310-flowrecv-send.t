#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: the datagrams of a capture are sent on."""
import signal
import socket
import subprocess
import time

import netflow
import packets
import receiver
import tap

PAYLOADS = [n.to_bytes(2, "big") * (1 + n * 41 % 700) for n in range(300)]


def collector():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("127.0.0.1", 0))
    s.settimeout(20)
    return s, f"udp:127.0.0.1:{s.getsockname()[1]}"


def capture(scratch, payloads, **kwargs):
    path = scratch / "x.pcap"
    path.write_bytes(packets.pcap(
        [packets.ipv4(packets.udp(p, **kwargs)) for p in payloads],
        packets.RAW))
    return path


def test_all(scratch):
    """as fast as it goes: all, in order, and nothing on the output"""
    path = capture(scratch, PAYLOADS)
    s, to = collector()
    with s:
        done = receiver.command("-v", "--read", path, "--to", to, "--rate", 0)
        tap.equal(done, (0, "", f"flowrecv: {path}: 300 datagrams sent to {to},"
                         f" 0 could not be sent\nflowrecv: {path}: 300 packets:"
                         " 300 datagrams passed on, 0 skipped, 0 to other "
                         "ports, 0 not UDP\n"))
        tap.equal([s.recv(65536) for _ in PAYLOADS] == PAYLOADS, True)


def test_rate(scratch):
    """--rate: so many a second"""
    path = capture(scratch, PAYLOADS)
    s, to = collector()
    with s:
        begin = time.monotonic()
        tap.equal(receiver.command("--read", path, "--to", to, "--rate", 600),
                  (0, "", ""))
        took = time.monotonic() - begin
    tap.equal(took >= 299 / 600, True, f"{took} s for 300 at 600 a second")


def test_speed(scratch):
    """at its own pace, or so many times that"""
    # one packet a second and a microsecond
    path = capture(scratch, PAYLOADS[:21])
    s, to = collector()
    with s:
        begin = time.monotonic()
        tap.equal(receiver.command("--read", path, "--to", to, "--speed", 40.5),
                  (0, "", ""))
        took = time.monotonic() - begin
        tap.equal(took >= 20 / 40.5, True, f"{took} s for 20 s at 40.5")
        path = capture(scratch, PAYLOADS[:2])
        begin = time.monotonic()
        tap.equal(receiver.command("--read", path, "--to", to), (0, "", ""))
        took = time.monotonic() - begin
        tap.equal(took >= 1, True, f"{took} s for one second")


def test_ports(scratch):
    """--port picks some"""
    path = scratch / "x.pcap"
    path.write_bytes(packets.pcap(
        [packets.ipv4(packets.udp(b"%d" % p, dport=p)) for p in (1, 2, 3, 2)],
        packets.RAW))
    s, to = collector()
    with s:
        tap.equal(receiver.command("--read", path, "--to", to, "--rate", 0,
                                   "--port", 2), (0, "", ""))
        s.setblocking(False)
        tap.equal([s.recv(10), s.recv(10)], [b"2", b"2"])
        try:
            tap.equal(s.recv(10), None)
        except BlockingIOError:
            pass


def test_replayed(scratch):
    """to another flowrecv: the same datagrams"""
    path = capture(scratch, PAYLOADS)
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r:
        tap.equal(receiver.command("--read", path, "--to",
                                   f"udp:localhost:{port}", "--rate", 100000),
                  (0, "", ""))
        r.wait_received(300)
        tap.equal([d[7] for d in r.datagrams()] == PAYLOADS, True)


def test_stop(scratch):
    """Ctrl-C while it waits"""
    path = capture(scratch, PAYLOADS)
    s, to = collector()
    with s:
        p = subprocess.Popen([tap.program("flowrecv"), "-v", "--read", path,
                              "--to", to, "--rate", "0.001"],
                             stderr=subprocess.PIPE)
        tap.equal(s.recv(65536), PAYLOADS[0])
        p.send_signal(signal.SIGINT)
        err = p.communicate(timeout=30)[1].decode()
        tap.equal((p.returncode, f"1 datagrams sent to {to}, 0" in err),
                  (0, True), err)


def test_nobody(scratch):
    """nobody listens there, and what is too long"""
    path = capture(scratch, PAYLOADS)
    port, = receiver.free_ports(1)
    to = f"udp:127.0.0.1:{port}"
    code, out, err = receiver.command("--read", path, "--to", to, "--rate", 0)
    tap.equal((code, out, f"flowrecv: {to}: nothing listens there\n" in err),
              (0, "", True), err)


def test_errors(scratch):
    """options that do not go together, numbers that are none"""
    see = "\nsee flowrecv --help\n"
    for args, why in (
            (["--to=udp:a:9", "9"],
             "--to does not go with ports to listen on"),
            (["--read", "x", "--rate", "1"],
             "--rate and --speed go with --to"),
            (["--read", "x", "--to=u", "--rate=1", "--speed=1"],
             "--rate or --speed, not both"),
            (["--read", "x", "--to=u", "--name=n"],
             "--name does not go with --to"),
            (["--read", "x", "--to=u", "--speed=0"],
             "--speed: 0 would take for ever; --rate 0 is as fast as it goes"),
            (["--read", "x", "--tee=udp:a:9"],
             "--tee does not go with --read")):
        tap.equal(receiver.command(*args), (2, "", f"flowrecv: {why}{see}"))
    for text in "", "x", "-1", "nan", "inf", "1e10", "0x10 ", " 1", "1s":
        tap.equal(receiver.command("--read", "x", "--to=u", f"--rate={text}"),
                  (2, "", f"flowrecv: --rate: '{text}' is no number from 0 to "
                   f"1000000000{see}"))
    path = capture(scratch, PAYLOADS)
    tap.equal(receiver.command("--read", path, "--to=udp:x"),
              (1, "", "flowrecv: --to: udp:x: must be udp:HOST:PORT, an IPv6 "
               "address in brackets\n"))


tap.main(globals())
