#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv and flowdecode joined by sockets: kill -9 of either, at any moment,
and every record arrives once."""
import random
import subprocess
import time

import netflow
import readers
import tap
from stages import Stage, held_port


class Rows:
    """What a reader has got, batch by batch, without a hole or a double."""

    def __init__(self):
        self.number = self.rows = 0

    def take(self, end, seconds):
        batch = end.next(seconds)
        if batch is None:
            return False
        tap.equal(batch[2], self.number + 1, "number of the batch")
        self.number = batch[2]
        self.rows += batch[3]
        return True


def take_rows(path, rows, wanted, seconds):
    """Reads, over any number of connections, until so many rows came."""
    end = time.monotonic() + seconds
    while rows.rows < wanted and time.monotonic() < end:
        try:
            with readers.reader(path, "logger", rows.number, "records") as r:
                while rows.rows < wanted and rows.take(r, 5):
                    if rows.number % 7 == 0:
                        r.mark(rows.number)
                r.mark(rows.number)
        except (OSError, AssertionError, TypeError) as why:
            if "number of the batch" in str(why):
                raise


def pipeline(scratch, fd):
    recv = Stage(scratch, "flowrecv", "--control", scratch / "c", "--serve",
                 scratch / "datagrams", "--ring", scratch / "r1", fd=fd)
    decode = Stage(scratch, "flowdecode", "--from",
                   f"unix:{scratch / 'datagrams'}", "--serve",
                   scratch / "records", "--ring", scratch / "r2")
    return recv, decode


def kill_while(scratch, version, flows, rate, choose):
    s, port = held_port()
    recv, decode = pipeline(scratch, s.fileno())
    rows, kills = Rows(), 0
    with s, recv, decode:
        gen = subprocess.Popen(
            [tap.program("gen"), "--to", f"127.0.0.1:{port}", "--version",
             str(version), "--flows", str(flows), "--rate", str(rate),
             "--exporters", "5"])
        while gen.poll() is None:
            time.sleep(random.uniform(0.05, 0.4))
            choose((recv, decode)).again()
            kills += 1
        tap.equal(gen.returncode, 0, "exit of gen")
        take_rows(scratch / "records", rows, flows, 40)
        tap.comment(f"{kills} kills, {rows.rows} rows in {rows.number} "
                    "batches")
        tap.equal(netflow.kernel_drops(port), 0, "kernel's drops")
        tap.equal(rows.rows, flows,
                  "rows " + recv.err.read_text() + decode.err.read_text())
        take_rows(scratch / "records", rows, flows + 1, 1.5)
        tap.equal(rows.rows, flows, "rows, later")


def test_kill_decode(scratch):
    """flowdecode is killed over and over"""
    kill_while(scratch, 9, 300000, 60000, lambda stages: stages[1])


def test_kill_recv(scratch):
    """flowrecv is killed over and over, its port held by another"""
    kill_while(scratch, 5, 300000, 60000, lambda stages: stages[0])


def test_kill_both(scratch):
    """both, at random"""
    kill_while(scratch, 9, 300000, 60000, random.choice)


def test_usage(_):
    """what does not go together"""
    for args, text in (
            (["--from", "x"], "--from x: must be unix:PATH"),
            (["--ring", "x"], "--ring goes with --serve"),
            (["--ring-size", "1Q"], "--ring-size 1Q: must be bytes, as 512M, "
             "up to 64G")):
        done = subprocess.run([tap.program("flowdecode"), *args],
                              stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        tap.equal(done.returncode, 2, "exit")
        tap.equal(done.stderr.splitlines()[0], f"flowdecode: {text}")


tap.main(globals())
