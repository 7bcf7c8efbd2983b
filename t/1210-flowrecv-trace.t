#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: datagrams shown live."""
import json
import os
import re
import signal
import struct
import subprocess

import netflow
import receiver
import tap

HEAD = "press ctrl-c to stop\n--------------------\n"

V5 = struct.pack(">HHIIIIBBH", 5, 30, 223215, 1369017127, 26, 696, 0, 71, 0)
V9 = struct.pack(">HHIIII", 9, 3, 42212, 1369122709, 0, 106)
SHOWN = [
    (V5, "ver=5, count=30, sysuptime=223215, unixsecs=1369017127, "
     "unixnsecs=26, seq=696, engine_type=0, engine_id=71, sampling_mode=0, "
     "sampling_interval=0"),
    (V9, "ver=9, count=3, sys_uptime=42212, unixsecs=1369122709, seq=0, "
     "source=106"),
    (V5[:22] + b"\x40\x05" + b"x" * 1440,
     "ver=5, count=30, sysuptime=223215, unixsecs=1369017127, unixnsecs=26, "
     "seq=696, engine_type=0, engine_id=71, sampling_mode=1, "
     "sampling_interval=5"),
    (V5[:22] + b"\xff\xff",
     "ver=5, count=30, sysuptime=223215, unixsecs=1369017127, unixnsecs=26, "
     "seq=696, engine_type=0, engine_id=71, sampling_mode=3, "
     "sampling_interval=16383"),
    (struct.pack(">HHIII", 1, 24, 4294967295, 1, 2),
     "ver=1, count=24, sysuptime=4294967295, unixsecs=1, unixnsecs=2"),
    (struct.pack(">HHIIIII", 7, 27, 1, 2, 3, 4, 0),
     "ver=7, count=27, sysuptime=1, unixsecs=2, unixnsecs=3, seq=4"),
    (struct.pack(">HHIII", 10, 24, 1369122709, 7, 4294967295) + b"x" * 8,
     "ver=10, message_length=24, unixsecs=1369122709, seq=7, "
     "domain=4294967295"),
    (V9[:19], "ver=9, length=19, header cut short"),
    (V5[:2], "ver=5, length=2, header cut short"),
    (b"\0\x08" + b"x" * 40, "ver=8, length=42"),
    (b"\xff\xff", "ver=65535, length=2"),
    (b"\0", "length=1"),
    (b"", "length=0"),
]


class Trace:
    """`flowrecv trace` of a port, its output in a file."""

    def __init__(self, r, scratch, *args):
        self.out = scratch / "trace"
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                [tap.program("flowrecv"), "trace", *map(str, args)],
                stdout=out, stderr=subprocess.PIPE,
                env={**os.environ, "FLOW_RUN": r.run_at})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def text(self):
        return self.out.read_text()

    def wait(self, wanted, what):
        netflow.wait_for(lambda: wanted(self.text()), what)

    def started(self):
        self.wait(lambda text: text == HEAD, "the head")
        return self

    def end(self, number=signal.SIGINT):
        """Exit status and what was on stderr."""
        self.process.send_signal(number)
        err = self.process.communicate(timeout=30)[1]
        return self.process.returncode, err.decode()


def lines(n):
    return lambda text: text.count("\n") >= n


def test_lines(scratch):
    """a line for each datagram, of every version, until Ctrl-C"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r, \
            Trace(r, scratch, "default") as t:
        t.started()
        source = receiver.send(port, [p for p, _ in SHOWN])
        t.wait(lines(2 + len(SHOWN)), "a line for each")
        tap.equal(t.end(), (0, ""))
        wanted = "".join(f"[127.0.0.1:{source}] {text}\n" for _, text in SHOWN)
        tap.equal(t.text(), HEAD + wanted + "interrupted\n")
        tap.equal([d[7] for d in r.datagrams()], [p for p, _ in SHOWN],
                  "and they are passed on")


def test_lone(scratch):
    """each line is there at once"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r, \
            Trace(r, scratch, "default") as t:
        t.started()
        for n in range(1, 6):
            receiver.send(port, [V9])
            t.wait(lines(2 + n), f"line {n}")
        tap.equal(t.end(signal.SIGTERM), (0, ""))


def test_ipv6(scratch):
    """an exporter with an IPv6 address"""
    try:
        receiver.free_ports(1, "::1")
    except OSError as why:
        raise tap.Skip(f"no IPv6: {why}")
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r, \
            Trace(r, scratch, "default", "--count", 1) as t:
        t.started()
        source = receiver.send(port, [V9], host="::1")
        tap.equal(t.process.wait(30), 0, "exit status")
        tap.equal(t.text(), f"{HEAD}[[::1]:{source}] {SHOWN[1][1]}\n")


def test_count(scratch):
    """--count ends after so many"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r, \
            Trace(r, scratch, "default", "--count", 3) as t:
        t.started()
        receiver.send(port, [V9] * 5)
        tap.equal(t.process.wait(30), 0, "exit status")
        tap.equal(t.text().count("ver=9"), 3, "lines")
        tap.equal("interrupted" in t.text(), False, "no more is said")
        netflow.wait_for(lambda: "ESTAB" not in subprocess.run(
            ["ss", "-x", "src", f"{r.run_at}/flowrecv.sock"],
            stdout=subprocess.PIPE, text=True).stdout, "its connection to end")


def test_hex(scratch):
    """--hex shows all bytes"""
    port, = receiver.free_ports(1)
    payload = V9 + bytes(range(256))
    with receiver.Receiver(scratch, port) as r, \
            Trace(r, scratch, "default", "--hex", "--count", 1) as t:
        t.started()
        source = receiver.send(port, [payload])
        tap.equal(t.process.wait(30), 0, "exit status")
        got = t.text()[len(HEAD):].splitlines()
    tap.equal(got[0], f"[127.0.0.1:{source}] {SHOWN[1][1]}")
    tap.equal(got[1], "  0000  00 09 00 03 00 00 a4 e4 51 9b 27 95 00 00 00 00"
              "  |........Q.'.....|")
    tap.equal(got[-1], "  0110  fc fd fe ff" + " " * 38 + "|....|")
    dumped = "".join(line[8:55].replace(" ", "") for line in got[1:])
    tap.equal(bytes.fromhex(dumped), payload, "bytes")


def test_json(scratch):
    """--json, also with the bytes"""
    port, = receiver.free_ports(1)
    payloads = [V9, V5, b"\0", b"\0\5", b"\0\x0a\0\x10" + bytes(12)]
    for more in [], ["--hex"]:
        with receiver.Receiver(scratch, f"x={port}") as r, \
                Trace(r, scratch, "x", "--json", *more) as t:
            # there is no head that tells when it has begun to look
            netflow.wait_for(lambda: receiver.send(port, [b"\xff\xff"]) and
                             t.text(), "a line")
            source = receiver.send(port, [b"\xff\xfe", *payloads])
            t.wait(lambda text: text.count("\n", max(0, text.find("65534")))
                   == 6, "a line for each")
            tap.equal(t.end(), (0, ""))
            got = [json.loads(line) for line in t.text().splitlines()[-5:]]
        if more:
            tap.equal([bytes.fromhex(d.pop("payload")) for d in got], payloads)
        for d in got:
            tap.equal(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
                                   r"(\.\d{1,6})?Z", d.pop("time")) is None,
                      False, "time")
        same = {"binding": "x", "exporter": "127.0.0.1", "port": source,
                "refused": False}
        tap.equal(got, [
            {**same, "length": 20, "version": 9, "count": 3,
             "sys_uptime": 42212, "unixsecs": 1369122709, "seq": 0,
             "source": 106},
            {**same, "length": 24, "version": 5, "count": 30,
             "sysuptime": 223215, "unixsecs": 1369017127, "unixnsecs": 26,
             "seq": 696, "engine_type": 0, "engine_id": 71,
             "sampling_mode": 0, "sampling_interval": 0},
            {**same, "length": 1, "version": None},
            {**same, "length": 2, "version": 5},
            {**same, "length": 16, "version": 10, "message_length": 16,
             "unixsecs": 0, "seq": 0, "domain": 0}])


def test_refused(scratch):
    """those that --allow refuses are shown as such"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, "--allow=192.0.2.0/24", port) as r, \
            Trace(r, scratch, "default") as t:
        t.started()
        source = receiver.send(port, [V9])
        t.wait(lines(3), "the line")
        tap.equal(t.text(), f"{HEAD}[127.0.0.1:{source}] {SHOWN[1][1]}, "
                  "refused\n")


def test_others(scratch):
    """only those of the port that it names; several look on"""
    a, b = receiver.free_ports(2)
    for name in "1", "2":
        (scratch / name).mkdir()
    with receiver.Receiver(scratch, f"a={a}", f"b={b}") as r, \
            Trace(r, scratch, "a") as t, \
            Trace(r, scratch / "1", "b") as u, \
            Trace(r, scratch / "2", "b") as v:
        for x in t, u, v:
            x.started()
        receiver.send(a, [V9])
        receiver.send(b, [V5])
        for x, version in (t, 9), (u, 5), (v, 5):
            x.wait(lines(3), "a line")
            tap.equal(f"ver={version}, " in x.text(), True, x.text())


def test_closed(scratch):
    """the port is closed meanwhile"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, f"x={port}") as r, \
            Trace(r, scratch, "x") as t:
        t.started()
        receiver.send(port, [V9])
        tap.equal(r.control("close", "x"), (0, "port closed\n", ""))
        tap.equal(t.process.wait(30), 0, "exit status")
        tap.equal(t.text().splitlines()[3:], ["port closed"])


def test_ended(scratch):
    """flowrecv ends meanwhile"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r, \
            Trace(r, scratch, "default") as t:
        t.started()
        tap.equal(r.stop(), 0, "exit status")
        err = t.process.communicate(timeout=30)[1].decode()
        tap.equal((t.process.returncode, err),
                  (1, f"flowrecv: {r.run_at}/flowrecv.sock: it has ended\n"))


def test_slow(scratch):
    """a viewer that stops: nothing waits for it, and it is told what it missed
    """
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r, \
            Trace(r, scratch, "default") as t:
        t.started()
        t.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, t.process.pid, os.WSTOPPED | os.WNOWAIT)
        for turn in range(1, 7):
            receiver.send(port, [V5] * 5000)
            r.wait_received(5000 * turn)
        tap.equal(r.ask()["default"]["sent"], 30000, "sent")
        t.process.send_signal(signal.SIGCONT)

        def accounted(text):
            return 30000 == text.count("ver=5") + sum(
                map(int, re.findall(r"^skipped (\d+)$", text, re.M)))
        t.wait(accounted, "all are shown or said to be skipped")
        tap.equal(t.text().count("skipped") >= 1, True, "some were skipped")
        receiver.send(port, [V9])
        t.wait(lambda text: text.count("ver=9") == 1, "it goes on")


def test_behind(scratch):
    """while much waits in the kernel nothing is shown, and all is accounted
    for without another datagram"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r, \
            Trace(r, scratch, "default") as t:
        t.started()
        r.freeze()
        receiver.send(port, [V9] * 20000)
        r.thaw()
        r.wait_received(20000)
        kernel = r.counters()["default"]["kernel"]
        t.wait(lambda text: 20000 - kernel == text.count("ver=9") + sum(
            map(int, re.findall(r"^skipped (\d+)$", text, re.M))), "all")
        tap.equal(t.text().count("skipped") >= 1, True, "some were skipped")


def test_full(scratch):
    """an output that takes nothing"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r, open("/dev/full", "wb") as full:
        p = subprocess.Popen([tap.program("flowrecv"), "trace", "default"],
                             stdout=full, stderr=subprocess.PIPE)
        err = p.communicate(timeout=30)[1]
        tap.equal((p.returncode, err), (1, b"flowrecv: cannot write: No space "
                                        b"left on device\n"))


tap.main(globals())
