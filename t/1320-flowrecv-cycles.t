#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: a port opened, shown, closed and opened again, a thousand times,
under load."""
import os
import socket
import threading

import control
import netflow
import receiver
import tap

CYCLES, WARM, EACH = 1000, 200, 3


def resident(pid):
    """Bytes, and whether the sanitizers' own memory is among them."""
    with open(f"/proc/{pid}/status") as f:
        size, = (int(line.split()[1]) for line in f if line[:6] == "VmRSS:")
    with open(f"/proc/{pid}/maps") as f:
        return size << 10, "libasan" in f.read()


class Load(threading.Thread):
    """Sends to a port, numbered, until it is told to stop."""

    def __init__(self, port):
        super().__init__()
        self.port, self.sent, self.done = port, 0, threading.Event()

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", self.port))
            while not self.done.wait(0.001):
                for _ in range(10):
                    s.send(self.sent.to_bytes(4, "big") * 50)
                    self.sent += 1


def cycle(path, port, sock, n):
    tap.equal(control.ask(path, "open", "edge", str(port)),
              [0, "port opened\n"], f"open {n}")
    with control.Client(path, "trace", "edge") as view:
        tap.equal(view.next()[0], 0, "trace")
        for k in range(EACH):
            sock.sendto(b"%d %d" % (n, k), ("127.0.0.1", port))
        for k in range(EACH):
            tap.equal(view.next()[5], b"%d %d" % (n, k), "what is shown")
        tap.equal(control.ask(path, "close", "edge"), [0, "port closed\n"],
                  f"close {n}")
        tap.equal(view.next(), [0, "port closed\n"], "the end of the view")
        tap.equal(view.next(), None, "no more")


def test_cycles(scratch):
    """no descriptor, no memory and no datagram of another port is lost"""
    main, port = receiver.free_ports(2)
    path = scratch / "run" / "flowrecv.sock"
    with receiver.Receiver(scratch, f"main={main}") as r, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        load = Load(main)
        load.start()
        try:
            for n in range(CYCLES):
                if n == WARM:
                    before, asan = resident(r.process.pid)
                cycle(path, port, sock, n)
            after, _ = resident(r.process.pid)
        finally:
            load.done.set()
            load.join()
        tap.comment(f"{load.sent} datagrams meanwhile, resident memory "
                    f"{before} to {after} bytes")
        if not asan:
            tap.equal(after - before < 400 << 10, True,
                      f"{after - before} bytes more")
        netflow.wait_for(lambda: len(os.listdir(
            f"/proc/{r.process.pid}/fd")) == descriptors(r, scratch),
            "descriptors as in one that has just begun")
        r.wait_received(load.sent + CYCLES * EACH)
        got = r.datagrams()
        end = r.counters()
    tap.equal([int.from_bytes(d[7][:4], "big") for d in got if d[3] == "main"]
              == list(range(load.sent)), True, "all of the other port, in order")
    tap.equal([d[7] for d in got if d[3] == "edge"] ==
              [b"%d %d" % (n, k) for n in range(CYCLES) for k in range(EACH)],
              True, "all of the port itself, in order")
    tap.equal([d[2] for d in got] == list(range(1, len(got) + 1)), True,
              "numbers without holes")
    tap.equal((end["main"]["sent"], end["main"]["kernel"]), (load.sent, 0))
    closed = end["closed ports"]
    tap.equal((closed["received"], closed["sent"], closed["kernel"]),
              (CYCLES * EACH, CYCLES * EACH, 0), "of the closed ports")


def descriptors(r, scratch):
    """How many a flowrecv with one port has."""
    fresh = scratch / "fresh"
    fresh.mkdir(exist_ok=True)
    port, = receiver.free_ports(1)
    with receiver.Receiver(fresh, f"--control={fresh}/s", f"main={port}") as one:
        receiver.send(port, [b"x"])
        one.wait_received(1)
        return len(os.listdir(f"/proc/{one.process.pid}/fd"))


tap.main(globals())
