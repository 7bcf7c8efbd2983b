#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: how it ends."""
import fcntl
import os
import signal
import subprocess
import threading
import time

import netflow
import receiver
import tap

PAYLOADS = [n.to_bytes(4, "big") * 100 for n in range(3000)]


def drain(scratch, number):
    """What waits in the kernel when the signal comes is passed on."""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, f"a={a}", f"b={b}") as r:
        r.freeze()
        receiver.send(a, PAYLOADS)
        receiver.send(b, PAYLOADS)
        r.kill(number)
        r.thaw()
        tap.equal(r.process.wait(timeout=30), 0, "exit status")
        got = receiver.unpack(r.out.read_bytes())
        counters = r.counters()
    for name in "a", "b":
        tap.equal([d[7] for d in got if d[3] == name] == PAYLOADS, True,
                  "all payloads of " + name)
        tap.equal(counters[name], {"received": 3000, "refused": 0,
                                   "dropped": 0, "queued": 0, "sent": 3000,
                                   "kernel": 0})
    tap.equal([d[2] for d in got] == list(range(1, 6001)), True, "numbers")


def test_sigint(scratch):
    """SIGINT: what the kernel holds is passed on"""
    drain(scratch, signal.SIGINT)


def test_sigterm(scratch):
    """SIGTERM: the same"""
    drain(scratch, signal.SIGTERM)


def test_idle(scratch):
    """SIGINT with nothing received"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r:
        tap.equal(r.datagrams(), [])


def test_slow_reader(scratch):
    """SIGINT waits for a slow reader, and the kernel's queue is not dropped"""
    port, = receiver.free_ports(1)
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, "--queue", "128K", port,
                           stdout=write_end) as r:
        os.close(write_end)
        r.freeze()
        receiver.send(port, [b"x" * 8000] * 1000)
        r.kill(signal.SIGINT)
        r.thaw()
        time.sleep(0.2)
        tap.equal(r.process.poll(), None, "it waits")
        with os.fdopen(read_end, "rb") as f:
            got = receiver.unpack(f.read())
        tap.equal(r.process.wait(timeout=30), 0, "exit status")
        tap.equal(len(got), 1000, "datagrams")
        tap.equal(r.counters()["default"]["dropped"], 0, "dropped")


def test_under_load(scratch):
    """SIGINT under a load that goes on: it ends, numbers without holes"""
    port, = receiver.free_ports(1)
    done = threading.Event()

    def load():
        while not done.is_set():
            try:
                receiver.send(port, [b"x" * 100] * 100)
            except ConnectionRefusedError:
                pass

    thread = threading.Thread(target=load)
    with receiver.Receiver(scratch, port) as r:
        thread.start()
        try:
            r.wait_received(1000)
            got = r.datagrams()
        finally:
            done.set()
            thread.join()
        tap.equal(r.counters()["default"]["sent"], len(got), "sent")
    tap.equal([d[2] for d in got] == list(range(1, len(got) + 1)), True,
              "numbers")


def test_second(scratch):
    """a second signal quits at once"""
    port, = receiver.free_ports(1)
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, port, stdout=write_end) as r:
        receiver.send(port, [b"x" * 8000] * 300)
        r.wait_received(300)
        r.kill(signal.SIGINT)
        time.sleep(0.2)
        tap.equal(r.process.poll(), None, "it waits for the reader")
        tap.equal(r.stop(signal.SIGTERM), 1, "exit status")
        tap.equal("flowrecv: quit before all was handed on\n" in r.said(),
                  True, r.said())
        counters = r.counters()["default"]
        tap.equal(counters["queued"] > 0, True, "what was left is counted")
    os.close(read_end)
    os.close(write_end)


def test_reader_gone_idle(scratch):
    """a reader that goes while nothing comes"""
    port, = receiver.free_ports(1)
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, port, stdout=write_end) as r:
        os.close(write_end)
        os.close(read_end)
        tap.equal(r.process.wait(timeout=30), 0, "exit status")
        tap.equal("flowrecv: the reader of the output is gone\n" in r.said(),
                  True, r.said())


def test_reader_gone_busy(scratch):
    """a reader that takes a little and goes"""
    port, = receiver.free_ports(1)
    head = subprocess.Popen(["head", "-c", "1000"], stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL)
    with receiver.Receiver(scratch, port, stdout=head.stdin) as r:
        head.stdin.close()
        receiver.send(port, [b"x" * 1000] * 100)
        tap.equal(r.process.wait(timeout=30), 0, "exit status")
    tap.equal(head.wait(), 0, "exit status of head")


def test_counters(scratch):
    """SIGUSR1 prints the counters, any time"""
    port, = receiver.free_ports(1)
    with receiver.Receiver(scratch, port) as r:
        for n in range(1, 4):
            receiver.send(port, [b"x"])
            r.wait_received(n)
            tap.equal(r.ask()["default"],
                      {"received": n, "refused": 0, "dropped": 0, "queued": 0,
                       "sent": n, "kernel": 0})


def test_quiet(scratch):
    """without -v, and nothing lost, not a word"""
    port, = receiver.free_ports(1)
    p = subprocess.Popen([tap.program("flowrecv"), str(port)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    netflow.wait_bound(port)
    receiver.send(port, [b"x"])
    receiver.unpack(os.read(p.stdout.fileno(), 65536))
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    tap.equal((p.returncode, out, err), (0, b"", b""))


def test_flags(scratch):
    """a pipe that was blocking is blocking again when it has ended"""
    port, = receiver.free_ports(1)
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, port, stdout=write_end) as r:
        flags = fcntl.fcntl(write_end, fcntl.F_GETFL)
        tap.equal(flags & os.O_NONBLOCK, os.O_NONBLOCK, "while it runs")
        tap.equal(r.stop(), 0, "exit status")
    flags = fcntl.fcntl(write_end, fcntl.F_GETFL)
    tap.equal(flags & os.O_NONBLOCK, 0, "after")
    os.close(read_end)
    os.close(write_end)


def test_full_disk(scratch):
    """an output that fails is an error that says why"""
    port, = receiver.free_ports(1)
    with open("/dev/full", "wb") as full:
        with receiver.Receiver(scratch, port, stdout=full) as r:
            receiver.send(port, [b"x"])
            tap.equal(r.process.wait(timeout=30), 1, "exit status")
            tap.equal("flowrecv: standard output: No space left on device\n"
                      in r.said(), True, r.said())


tap.main(globals())
