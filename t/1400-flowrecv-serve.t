#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: readers on a socket, and a ring that outlives the process."""
import os
import signal
import subprocess

import netflow
import readers
import receiver
import tap


def send(port, first, n, size=4):
    receiver.send(port, [i.to_bytes(4, "big") * (size // 4)
                         for i in range(first, first + n)])


def contents(datagrams):
    return [int.from_bytes(d[7][:4], "big") for d in datagrams]


def numbers(datagrams):
    return [d[2] for d in datagrams]


def test_readers(scratch):
    """several readers get the same, each at its own pace"""
    port, = receiver.free_ports(1)
    path = scratch / "s"
    with receiver.Receiver(scratch, "--serve", path, port) as r:
        send(port, 0, 10)
        r.wait_received(10)
        # the first finds what nobody has had yet
        with readers.reader(path, "a") as a, readers.reader(path) as viewer:
            tap.equal(a.hello["version"], 1, "version")
            tap.equal(numbers(a.take(10)), list(range(1, 11)), "of a")
            # one without a name sees what comes while it is there
            send(port, 10, 5)
            tap.equal(contents(viewer.take(5)), list(range(10, 15)), "live")
            tap.equal(contents(a.take(5)), list(range(10, 15)), "of a")
            a.silent()
            with readers.reader(path, "b") as b:  # what is kept for a
                tap.equal(contents(b.take(15)), list(range(15)), "of b")
        tap.equal((scratch / "out").read_bytes(), b"", "stdout")


def test_resume(scratch):
    """what a named reader has not acknowledged comes again, nothing else"""
    port, = receiver.free_ports(1)
    path = scratch / "s"
    with receiver.Receiver(scratch, "--serve", path, port) as r:
        with readers.reader(path, "a") as a:
            send(port, 0, 20)
            a.take(20)
            a.mark(5)
            netflow.wait_for(lambda: r.ask()["default"]["sent"] == 5, "5 sent")
            tap.equal(r.ask()["default"]["queued"], 15, "queued")
        send(port, 20, 10)  # while it is away
        r.wait_received(30)
        with readers.reader(path, "a") as a:
            tap.equal(numbers(a.take(25)), list(range(6, 31)), "again")
        with readers.reader(path, "a", begin=28) as a:  # it has got further
            tap.equal(numbers(a.take(2)), [29, 30], "the rest")
            a.mark(30)
            netflow.wait_for(lambda: r.ask()["default"]["sent"] == 30, "sent")


def test_kill(scratch):
    """kill -9: the stream goes on where it was, without a hole"""
    port, = receiver.free_ports(1)
    path = scratch / "s"
    args = ["--serve", path, "--ring", scratch / "ring", f"p={port}"]
    got, stream = [], None
    for turn in range(5):
        with receiver.Receiver(scratch, *args) as r:
            with readers.reader(path, "a", begin=len(got)) as a:
                stream = stream or a.hello["stream"]
                tap.equal(a.hello["stream"], stream, "stream")
                send(port, 100 * turn, 100)
                # those that were left are counted, too, as of closed ports
                netflow.wait_for(lambda: r.ask()["p"]["received"] == 100,
                                 "all of them")
                # what was left unread the last time, and half of this
                got += a.take(100 * turn + 50 - len(got))
                a.mark(len(got) - 10)
                held = r.ask()
            r.kill(signal.SIGKILL)
            r.process.wait()
    tap.equal(numbers(got), list(range(1, 451)), "numbers")
    tap.equal(contents(got), list(range(450)), "datagrams")
    tap.equal(held["p"]["received"], 100, "received by the last")
    with receiver.Receiver(scratch, *args) as r:
        with readers.reader(path, "a", begin=450) as a:
            tap.equal(contents(a.take(50)), list(range(450, 500)), "the rest")
            a.mark(500)
            netflow.wait_for(lambda: "closed ports: received 60, refused 0, "
                             "queue-dropped 0, queued 0, sent 60" in
                             (r.ask() and r.said()), "those of before")


def test_stuck(scratch):
    """one that has stopped holds up no other, and its loss is counted"""
    port, = receiver.free_ports(1)
    path = scratch / "s"
    with receiver.Receiver(scratch, "--serve", path, "--queue", "1M",
                           port) as r:
        with readers.reader(path, "stuck") as stuck, \
                readers.reader(path, "good") as good:
            for turn in range(100):
                send(port, 100 * turn, 100, 1000)
                tap.equal(contents(good.take(100)) ==
                          list(range(100 * turn, 100 * turn + 100)), True,
                          f"turn {turn}")
                good.mark(100 * turn + 100)
            end = r.ask()["default"]
            tap.equal((end["received"], end["dropped"]), (10000, 0), "counts")
            tap.equal("reader stuck is too slow: passed by with " in r.said(),
                      True, r.said())
            tap.equal(stuck.hello["number"], 0, "number")


def test_all_stuck(scratch):
    """past the queue exactly the counted number is lost"""
    a, b = receiver.free_ports(2)
    path = scratch / "s"
    with receiver.Receiver(scratch, "--serve", path, "--queue", "512K",
                           f"a={a}", f"b={b}") as r:
        with readers.reader(path, "x") as x:
            for turn in range(20):
                send(a, 0, 100, 1000)
                send(b, 0, 100, 1000)
                r.wait_received(200 * turn + 200)
            held = r.ask()  # which checks the sums
            tap.equal([held[n]["received"] for n in "ab"], [2000, 2000], "in")
            dropped = sum(held[n]["dropped"] for n in "ab")
            tap.equal(held["a"]["dropped"] > 0 < held["b"]["dropped"], True,
                      "both dropped")
            got = x.take(4000 - dropped)
            x.silent()
            tap.equal(numbers(got), list(range(1, 4001 - dropped)), "numbers")
            x.mark(len(got))
            netflow.wait_for(lambda: sum(c["sent"] for c in r.ask().values())
                             == len(got), "all sent")


def test_stop(scratch):
    """a signal: readers get what there is, unless the ring keeps it"""
    port, = receiver.free_ports(1)
    path = scratch / "s"
    for ring in [], ["--ring", scratch / "ring"]:
        with receiver.Receiver(scratch, "--serve", path, *ring, port) as r:
            with readers.reader(path, "a") as a:
                send(port, 0, 2000, 1400)
                a.take(1)
                r.kill(signal.SIGTERM)
                got = [a.hello]
                if not ring:
                    got = a.take(1999)
                    a.mark(2000)
                    tap.equal(contents(got), list(range(1, 2000)), "all")
                tap.equal(r.process.wait(timeout=30), 0, "exit status")
                tap.equal(path.exists(), False, "the socket is removed")
    with receiver.Receiver(scratch, "--serve", path, *ring, port) as r:
        with readers.reader(path, "a") as a:
            tap.equal(contents(a.take(2000)), list(range(2000)), "kept")


def test_refused(scratch):
    """what cannot be is said, by name"""
    port, other = receiver.free_ports(2)
    path, ring = scratch / "s", scratch / "ring"
    with receiver.Receiver(scratch, "--serve", path, "--ring", ring, port):
        done = receiver.run("--serve", path, other)
        tap.equal(done.returncode, 1, "exit status")
        tap.equal(b"/s: in use by process" in done.stderr, True, done.stderr)
        done = receiver.run("--serve", f"{path}2", "--ring", ring, other)
        tap.equal(done.returncode, 1, "exit status")
        tap.equal(b"flowrecv.ring: another process uses it" in done.stderr,
                  True, done.stderr)
        with readers.reader(path, "a"):
            second = readers.End(path, "datagrams", name="a")
            tap.equal(second.hello["error"],
                      "a reader named a is connected already")
            tap.equal(second.next(), None, "end")
        second = readers.End(path, "records")
        tap.equal(second.hello["error"], "it is not about datagrams")


def test_damaged_ring(scratch):
    """a ring that is damaged is set aside, and said"""
    port, = receiver.free_ports(1)
    path, ring = scratch / "s", scratch / "ring"
    ring.mkdir()
    (ring / "flowrecv.ring").write_bytes(b"not a ring" * 1000)
    with receiver.Receiver(scratch, "--serve", path, "--ring", ring,
                           port) as r:
        tap.equal("flowrecv.ring: it is no ring: set aside as flowrecv.ring."
                  "damaged-" in r.said(), True, r.said())
        with readers.reader(path) as a:
            send(port, 7, 1)
            tap.equal(contents(a.take(1)), [7], "works")
    tap.equal(sorted(p.name.split("-")[0] for p in ring.iterdir()),
              ["flowrecv.ring", "flowrecv.ring.damaged"], "files")


def test_full_disk(scratch):
    """no room on the disk is a full queue, and nothing worse"""
    disk = scratch / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12M", "none",
                            str(disk)], stderr=subprocess.DEVNULL)
    if mount.returncode != 0:
        raise tap.Skip("no right to mount")
    try:
        port, = receiver.free_ports(1)
        path = scratch / "s"
        with receiver.Receiver(scratch, "--serve", path, "--ring", disk, "-v",
                               port) as r, readers.reader(path, "x") as x:
            for turn in range(40):
                send(port, 0, 200, 1400)
                r.wait_received(200 * turn + 200)
            held = r.ask()["default"]
            tap.equal(held["received"], 8000, "received")
            tap.equal(held["dropped"] > 0, True, "dropped")
            x.mark(x.take(8000 - held["dropped"])[-1][2])
            netflow.wait_for(lambda: r.ask()["default"]["queued"] == 0, "room")
            send(port, 5, 10)
            tap.equal(contents(x.take(10)), list(range(5, 15)), "goes on")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


tap.main(globals())
