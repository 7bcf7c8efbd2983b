#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowstore serve: loggers write to tables over a socket, and each record is
stored once whoever is killed."""
import random
import resource
import signal
import subprocess
import threading
import time

import netflow
import readers
import records
import tables
import tap
from stages import Stage, held_port

ROWS = 50
FLOWS = 90000
RATE = 60000


def serve(scratch, *args):
    return Stage(scratch, "flowstore", "serve", "--accept", scratch / "s",
                 "--root", scratch / "root", *args)


def listens(scratch):
    netflow.wait_for((scratch / "s").exists, "the socket")


def batch(number, rows=ROWS, stream=77):
    return records.batch(rows, {
        "n": ("u32", [number * ROWS + i for i in range(rows)]),
        "name": ("string", records.All("x"))}, number, stream)


def numbers(scratch, table, key="n"):
    return [r[key] for r in tables.rows(scratch / "root", table)]


def wanted(first, last):
    return list(range(first * ROWS, (last + 1) * ROWS))


def flowlog(scratch, data, *args):
    done = subprocess.run([tap.program("flowlog"), "--to",
                           f"unix:{scratch / 's'}", *args], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60)
    return done.returncode, done.stderr.decode()


def writer(scratch, **words):
    return readers.End(scratch / "s", "records", **words)


def stop(stage):
    stage.process.send_signal(signal.SIGTERM)
    tap.equal(stage.process.wait(30), 0, "exit " + stage.err.read_text())


def test_stdin(scratch):
    """flowlog from stdin stores all of a stream, once"""
    data = b"".join(batch(i) for i in range(1, 101))
    with serve(scratch) as s:
        listens(scratch)
        for _ in range(2):
            tap.equal(flowlog(scratch, data, "--table", "t", "--name", "L"),
                      (0, ""))
            tap.equal(numbers(scratch, "t"), wanted(1, 100), "records")
        rows = b"".join(records.msgpack.packb({"n": i}) for i in range(9))
        tap.equal(flowlog(scratch, rows, "--table", "a b/../c"), (0, ""))
        tap.equal(numbers(scratch, "a b/../c"), list(range(9)), "rows")
        stop(s)
        tap.equal(s.err.read_text(), "")
        tap.equal((scratch / "s").exists(), False, "socket at the end")


def test_two(scratch):
    """loggers share a table, or have their own, each with its host"""
    with serve(scratch, "-v") as s:
        listens(scratch)
        loggers = [writer(scratch, name=n, table=t, host=h, stream=77)
                   for n, t, h in (("a", "t", "edge1"), ("b", "t", "edge2"),
                                   ("a", "u", "edge1"), ("c", "t", ""))]
        tap.equal({(w.hello["stream"], w.hello["number"]) for w in loggers},
                  {(77, 0)}, "hellos")
        for i in range(1, 21):
            for w in loggers:
                w.socket.sendall(batch(i))
        for w in loggers:
            while w.next() != [77, 20]:
                pass
        got = tables.rows(scratch / "root", "t")
        for host in "edge1", "edge2", None:
            tap.equal([r["n"] for r in got if r.get("_host") == host],
                      wanted(1, 20), f"of host {host}")
        tap.equal(numbers(scratch, "u"), wanted(1, 20), "of the other table")
        tap.equal(len({r["_id"] for r in got}), len(got), "ids")
        loggers[0].socket.sendall(batch(20) + batch(21, 0))
        tap.equal(loggers[0].next(), [77, 21], "mark of an empty batch")
        again = writer(scratch, name="a", table="t", stream=77)
        tap.equal(again.hello["number"], 21, "number that is reached")
        loggers[1].socket.sendall(batch(21))
        stop(s)
        tap.equal(loggers[1].next(), [77, 21], "mark at the end")
        tap.equal(loggers[1].next(), None, "end")
        tap.equal(len(numbers(scratch, "t")), 61 * ROWS, "records")
        tap.equal(f"stored {81 * ROWS}, duplicates {ROWS}, dropped 0;" in
                  s.err.read_text(), True, s.err.read_text())


def test_refused(scratch):
    """what is wrong is refused, and others are not disturbed"""
    with serve(scratch) as s:
        listens(scratch)
        good = writer(scratch, name="good", table="t", stream=77)
        for words, text in (
                ({"table": "t\n"}, "table"), ({"table": "x" * 200}, "table"),
                ({}, "names no table"), ({"table": "purge"}, "is a command"),
                ({"table": 5}, "table is no text"),
                ({"table": "t", "role": "datagrams"}, "not about records"),
                ({"table": "t", "version": 9}, "speaks version 9")):
            bad = readers.End(scratch / "s", words.pop("role", "records"),
                              name="bad", **words)
            tap.equal(text in bad.hello.get("error", ""), True, bad.hello)
            tap.equal(bad.next(), None, "end")
        first = writer(scratch, table="t", name="evil", stream=5)
        first.socket.sendall(batch(1, stream=5) + b"\xc1rubbish")
        while first.next():
            pass
        status, err = flowlog(scratch, b"", "--table", "drop")
        tap.equal((status, "no table's name" in err), (1, True), err)
        good.socket.sendall(batch(1))
        tap.equal(good.next(), [77, 1], "mark of the good one")
        tap.equal(sorted(numbers(scratch, "t")), sorted(2 * wanted(1, 1)),
                  "records of both")
        other = subprocess.run(s.command, stderr=subprocess.PIPE, text=True)
        tap.equal((other.returncode, str(scratch / "s") in other.stderr),
                  (1, True), other.stderr)
        done = tables.store(scratch / "root", b"", table="t")
        tap.equal(done[0], 1, "a second writer of the table")
        netflow.wait_for(lambda: "logger evil: corrupt stream at offset" in
                         s.err.read_text(), "message about evil", 5)
        stop(s)


def test_usage(scratch):
    """what does not go together"""
    for args, text in ((["serve"], "serve where?"),
                       (["--accept", "x", "t"], "--accept goes with serve"),
                       (["serve", "--accept", "x", "--host", "h"], "--host"),
                       (["serve", "--accept", "x", "t"], "'t':")):
        status, _, err = tables.command(scratch, *args)
        tap.equal((status, text in err), (2, True), err)


def test_held(scratch):
    """a table without room takes nothing, and goes on when there is some"""
    with serve(scratch, "--min-free", "99.9999%") as s:
        listens(scratch)
        w = writer(scratch, name="a", table="t", stream=77)
        w.socket.sendall(batch(1))
        netflow.wait_for(lambda: "held back" in s.err.read_text(), "message")
        w.next()
        w.socket.sendall(batch(2))
        w.silent(1)
    with serve(scratch):
        w = writer(scratch, name="a", table="t", stream=77)
        tap.equal(w.hello["number"], 1, "number that is reached")


def limit(stage, size):
    """Files of so many bytes at most: as a full disk."""
    resource.prlimit(stage.process.pid, resource.RLIMIT_FSIZE,
                     (size, resource.RLIM_INFINITY))


def test_full(scratch):
    """loggers that come and go while the disk is full lose nothing"""
    rows = 5000
    noise = [records.batch(rows, {"x": ("u64", [random.getrandbits(64)
                                                for _ in range(rows)])}, i, 77)
             for i in range(1, 31)]
    with serve(scratch, "--min-free", "0") as s:
        listens(scratch)
        first = writer(scratch, name="a", table="t", stream=77)
        first.socket.sendall(noise[0])
        tap.equal(first.next(), [77, 1], "mark")
        limit(s, 512 << 10)
        plain = writer(scratch, table="t")
        plain.socket.sendall(records.msgpack.packb({"y": 1}))
        feeder = threading.Thread(target=first.socket.sendall,
                                  args=(b"".join(noise[1:]),), daemon=True)
        feeder.start()
        netflow.wait_for(lambda: "held back" in s.err.read_text(), "message")
        plain.close()
        late = writer(scratch, name="b", table="t", stream=78)
        tap.equal("No space" in late.hello.get("error", ""), True, late.hello)
        time.sleep(0.5)  # it tries again
        limit(s, 1 << 30)
        tap.equal([77, 30] in iter(first.next, None), True, "last mark")
        late = writer(scratch, name="b", table="t", stream=78)
        tap.equal(late.hello.get("number"), 0, late.hello)
        stop(s)
        got = tables.rows(scratch / "root", "t")
        tap.equal((len(got), sum("y" in r for r in got)), (30 * rows + 1, 1),
                  "records")


def stored(scratch):
    try:
        return tables.kinds(scratch / "root")["table"][0]["rows"]
    except (AssertionError, KeyError):
        return 0


def chain(scratch, version, choose):
    """All five stages but flowq, and what is killed of them."""
    port_socket, port = held_port()
    recv = Stage(scratch, "flowrecv", "--control", scratch / "c", "--serve",
                 scratch / "d", "--ring", scratch / "r1",
                 fd=port_socket.fileno())
    decode = Stage(scratch, "flowdecode", "--from", f"unix:{scratch / 'd'}",
                   "--serve", scratch / "r", "--state", scratch / "st",
                   "--ring", scratch / "r2")
    log = Stage(scratch, "flowlog", "--from", f"unix:{scratch / 'r'}", "--to",
                f"unix:{scratch / 's'}", "--name", "L", "--table", "t",
                "--host", "edge")
    store = serve(scratch)
    kills = 0
    with port_socket, recv, decode, log, store:
        gen = subprocess.Popen(
            [tap.program("gen"), "--to", f"127.0.0.1:{port}", "--version",
             str(version), "--flows", str(FLOWS), "--rate", str(RATE),
             "--exporters", "5"])
        while gen.poll() is None or kills < 10:
            time.sleep(random.uniform(0.02, 0.35))
            choose(kills, log, store).again()
            kills += 1
        tap.equal(gen.returncode, 0, "exit of gen")
        try:
            netflow.wait_for(lambda: stored(scratch) >= FLOWS, "records", 40)
        finally:
            tap.comment(f"{kills} kills, {stored(scratch)} records")
            tap.comment(store.err.read_text()[-1500:])
        tap.equal(netflow.kernel_drops(port), 0, "kernel's drops")
        log.process.terminate()
        log.process.wait(30)
        stop(store)
    ids = [i for b in tables.dump(scratch / "root") for i in b.columns["_id"]]
    tap.equal(len(ids), FLOWS, "records")
    tap.equal(len(set(ids)), FLOWS, "ids")
    tap.equal(tables.store(scratch / "root")[0], 0, "its lock is free")


def test_kill_store(scratch):
    """flowstore is killed over and over"""
    chain(scratch, 5, lambda n, log, store: store)


def test_kill_both(scratch):
    """flowlog and flowstore in turn"""
    chain(scratch, 9, lambda n, log, store: (log, store)[n % 2])


tap.main(globals())
