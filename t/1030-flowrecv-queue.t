#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: a reader that is slow, and what becomes of the rest."""
import os
import shutil
import signal
import socket
import subprocess

import msgpack

import netflow
import receiver
import tap


def read_all(fd):
    with os.fdopen(fd, "rb") as f:
        return f.read()


def send_evenly(ports, total, size):
    """To the ports in turn, never more at once than a socket can hold."""
    socks = []
    for port in ports:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1", port))
        socks.append(s)
    for n in range(total):
        socks[n % len(socks)].send(n.to_bytes(4, "big") * (size // 4))
    for s in socks:
        s.close()


def test_full(scratch):
    """a reader that has stopped: drops are counted exactly, per binding"""
    a, b = receiver.free_ports(2)
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, "--queue", "512K", f"a={a}", f"b={b}",
                           stdout=write_end) as r:
        os.close(write_end)
        send_evenly([a, b], 4000, 1000)
        r.wait_received(4000)
        held = r.ask()
        tap.equal({n: c["received"] for n, c in held.items()},
                  {"a": 2000, "b": 2000}, "received")
        tap.equal(held["a"]["dropped"] > 0 and held["b"]["dropped"] > 0, True,
                  "both dropped some")
        tap.equal(sum(c["queued"] for c in held.values()) <= 512, True,
                  "no more waits than the queue holds")
        r.kill(signal.SIGINT)
        got = receiver.unpack(read_all(read_end))
        tap.equal(r.process.wait(timeout=30), 0, "exit status")
        end = r.counters()
    for name in "a", "b":
        tap.equal(end[name]["sent"], len([d for d in got if d[3] == name]),
                  "sent")
        tap.equal(end[name]["dropped"], held[name]["dropped"], "dropped")
        tap.equal(end[name]["queued"], 0, "queued")
        tap.equal(end[name]["kernel"], 0, "kernel's drops")
    tap.equal([d[2] for d in got], list(range(1, len(got) + 1)),
              "numbers without holes")
    first = [int.from_bytes(d[7][:4], "big") for d in got]
    tap.equal(sorted(first), sorted(set(first)), "no datagram twice")


def test_resume(scratch):
    """a reader that stops, goes on and stops again"""
    port, = receiver.free_ports(1)
    read_end, write_end = os.pipe()
    stream = b""
    with receiver.Receiver(scratch, "--queue", "1M", port,
                           stdout=write_end) as r:
        os.close(write_end)
        for turn in range(1, 6):
            send_evenly([port], 3000, 1000)
            r.wait_received(3000 * turn)
            while r.ask()["default"]["queued"] > 0:
                stream += os.read(read_end, 1 << 20)
        r.kill(signal.SIGINT)
        got = receiver.unpack(stream + read_all(read_end))
        tap.equal(r.process.wait(timeout=30), 0, "exit status")
        end = r.counters()["default"]
    tap.equal(end["received"], 15000, "received")
    tap.equal(end["dropped"] > 0, True, "some were dropped")
    tap.equal(end["sent"], len(got), "sent")
    tap.equal([d[2] for d in got] == list(range(1, len(got) + 1)), True,
              "numbers without holes")


def test_held(scratch):
    """a reader that stops for a while: the queue holds everything"""
    port, = receiver.free_ports(1)
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, port, stdout=write_end) as r:
        os.close(write_end)
        for turn in range(1, 11):
            send_evenly([port], 3000, 1400)
            r.wait_received(3000 * turn)
        tap.equal(r.ask()["default"]["queued"] > 25000, True, "they wait")
        r.kill(signal.SIGINT)
        got = receiver.unpack(read_all(read_end))
        tap.equal(r.process.wait(timeout=30), 0, "exit status")
    tap.equal([d[2] for d in got] == list(range(1, 30001)), True, "numbers")
    tap.equal([int.from_bytes(d[7][:4], "big") for d in got] ==
              list(range(3000)) * 10, True, "all, in order")


# Seconds and datagrams a second; the issue asks for 10 s at half the top rate.
STOP, RATE = map(int, os.environ.get("FLOW_TEST_STOP", "2,10000").split(","))


def stop_reader(scratch, *args):
    """A reader that takes nothing for STOP seconds, then everything: what it
    gets, how many were sent, and the counters."""
    port, = receiver.free_ports(1)
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, *args, port, stdout=write_end) as r:
        os.close(write_end)
        sent = netflow.generate(
            "--to", f"127.0.0.1:{port}", "--version", 5, "--flows",
            30 * RATE * STOP, "--rate", 30 * RATE, "--cpu",
            os.cpu_count() - 1)["datagrams"]
        netflow.wait_read(port)
        r.kill(signal.SIGINT)
        with os.fdopen(read_end, "rb") as f, open(scratch / "got", "wb") as to:
            shutil.copyfileobj(f, to, 1 << 20)
        tap.equal(r.process.wait(timeout=60), 0, "exit status")
        c = r.counters()["default"]
    with open(scratch / "got", "rb") as f:
        u = msgpack.Unpacker(f, raw=False, max_buffer_size=1 << 27)
        seqs, numbers = zip(*((int.from_bytes(d[7][16:20], "big"), d[2])
                              for d in u))
    tap.equal(numbers == tuple(range(1, len(numbers) + 1)), True,
              "numbers without holes")
    tap.equal(all(a < b for a, b in zip(seqs, seqs[1:])), True,
              "in order, none twice")
    tap.comment(f"{sent} datagrams in {STOP} s: {c}")
    tap.equal((c["sent"], c["queued"]), (len(seqs), 0), "sent")
    tap.equal(c["received"] + c["kernel"], sent, "received")
    return c


def test_stopped(scratch):
    """a reader that stops at a high rate: the default queue loses nothing"""
    c = stop_reader(scratch)
    tap.equal((c["dropped"], c["kernel"]), (0, 0), "lost")


def test_stopped_past(scratch):
    """the same past the queue: exactly the counted number is lost"""
    c = stop_reader(scratch, "--queue", "8M")
    tap.equal(c["dropped"] > c["received"] // 2, True, "most are dropped")


def test_keeping_up(scratch):
    """the smallest queue drops nothing while the reader keeps up"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, "--queue", "128K", port) as r:
        r.freeze()  # one large handful, many times the queue
        send_evenly([port], 2000, 1400)
        r.thaw()
        r.wait_received(2000)
        tap.equal(len(r.datagrams()), 2000)
        tap.equal(r.counters()["default"]["dropped"], 0, "dropped")


def test_kernel_drops(scratch):
    """what the kernel dropped is counted to the datagram"""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, "--receive-buffer", "64K", f"a={a}",
                           f"b={b}") as r:
        r.freeze()
        receiver.send(a, [b"x" * 1000] * 5000)
        receiver.send(b, [b"x"] * 10)
        r.thaw()
        r.wait_received(11)
        got = r.datagrams()
        end = r.counters()
        tap.equal(" a: the kernel dropped datagrams, " in r.said() or
                  end["a"]["kernel"] > 0, True, r.said())
    tap.equal(end["a"]["received"] + end["a"]["kernel"], 5000,
              "received and dropped by the kernel")
    tap.equal(end["a"]["kernel"] > 4000, True, "most were dropped")
    tap.equal(end["b"]["kernel"], 0, "the other port lost nothing")
    tap.equal(len(got), end["a"]["received"] + 10, "datagrams")


def test_lost_is_said(scratch):
    """what was lost is printed at the end, asked for or not"""
    port, = receiver.free_ports(1)
    with open(scratch / "err", "wb") as err:
        p = subprocess.Popen([tap.program("flowrecv"), "--receive-buffer",
                              "64K", str(port)], stdout=subprocess.DEVNULL,
                             stderr=err)
    netflow.wait_bound(port)
    p.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, p.pid, os.WSTOPPED | os.WNOWAIT)
    receiver.send(port, [b"x" * 1000] * 1000)
    p.send_signal(signal.SIGCONT)
    p.send_signal(signal.SIGTERM)
    tap.equal(p.wait(timeout=30), 0, "exit status")
    line = receiver.LINE.match((scratch / "err").read_text().splitlines()[-1])
    tap.equal(int(line["received"]) + int(line["kernel"]), 1000, "received and dropped")


tap.main(globals())
