#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowdecode between sockets when something is wrong: a full ring, a commit
that fails, a ring that is gone, input that is none, readers that never come
again."""
import json
import resource
import struct
import subprocess
import time

import netflow
import readers
import tap
import v9
from stages import Stage

try:
    import links
    import msgpack
except ImportError:
    links = None

BIG = 60000  # bytes of a record
LIMIT = (8192, -1)  # of files: stderr is small, a state's pages are not
MANY = 3000  # of them are more than the ring holds
TEMPLATE = v9.template(256, (83, BIG))
SMALL = v9.template(257, (7, 2))


def datagram(*sets, sequence=None):
    """Numbered when it is put."""
    def make(number, stream):
        message = v9.message(*sets, sequence=number - 1 if sequence is None
                             else sequence)
        return msgpack.packb([1, stream, number, "default", 1700000000000000,
                              b"\x0a\0\0\1", 2055, message])
    return make


def small(value):
    return datagram(SMALL, v9.a_set(257, struct.pack(">H", value)))


class Datagrams(links.Source if links else object):
    role = "datagrams"


class Rig:
    """flowdecode between a source of datagrams and whoever reads."""

    def __init__(self, scratch, *args):
        if not links:
            raise tap.Skip("no python3-msgpack")
        self.scratch = scratch
        (scratch / "run").mkdir(exist_ok=True)
        self.source = Datagrams(scratch / "datagrams")
        self.socket = scratch / "run" / "flowdecode.sock"
        self.stats = scratch / "stats"
        self.decode = Stage(
            scratch, "flowdecode", "--from", f"unix:{scratch / 'datagrams'}",
            "--serve", self.socket, "--ring", scratch / "ring", "--state",
            scratch / "state", "--stats", self.stats, *args)
        netflow.wait_for(self.socket.exists, "the socket")

    def reader(self, name="logger", begin=0):
        return readers.reader(self.socket, name, begin, "records")

    def acknowledged(self, number):
        netflow.wait_for(lambda: self.source.acknowledged() >= number,
                         f"acknowledgement of {number}", 60)

    def says(self, text):
        netflow.wait_for(lambda: text in self.decode.err.read_text(), text)

    def known(self):
        """Readers: what waits for each."""
        return {r["reader"]: r["waiting"]
                for r in json.loads(self.stats.read_text())["readers"]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.decode.__exit__()
        self.source.close()


def stalled(test):
    """The value, when it has not changed for a while."""
    last, since = test(), time.monotonic()
    end = since + 60
    while time.monotonic() < since + 1.5:
        tap.equal(time.monotonic() < end, True, "it comes to rest")
        time.sleep(0.05)
        if test() != last:
            last, since = test(), time.monotonic()
    return last


def texts(batch):
    """What the records begin with."""
    data = batch[6][batch[4].index("interface_description")]
    if not isinstance(data, bytes):
        return [int(data[:8])] * batch[3]
    at = struct.unpack_from(f"<{batch[3] + 1}I", data)
    return [int(data[4 * len(at) + a:][:8]) for a in at[:-1]]


def test_full(scratch):
    """a full ring makes input wait, and nothing is lost when readers go on"""
    with Rig(scratch, "--ring-size", "128M") as rig:
        rig.reader().close()
        for i in range(MANY):
            rig.source.put(datagram(TEMPLATE, v9.a_set(
                256, b"%08d" % i + b"x" * (BIG - 8))))
        number = stalled(rig.source.acknowledged)
        tap.equal(0 < number < MANY, True, f"taken while full: {number}")
        tap.equal(rig.decode.process.poll(), None, "it lives")
        rig.decode.again()  # also when killed meanwhile
        seen, last = [], 0
        with rig.reader() as end:
            while len(seen) < MANY:
                batch = end.next(60)
                tap.equal(batch[2], last + 1, "number")
                last = batch[2]
                seen += texts(batch)
                end.mark(last)
            tap.equal(seen, list(range(MANY)), "records")
            end.silent()
        rig.acknowledged(MANY)


def test_commit(scratch):
    """what cannot be committed is neither sent nor acknowledged, until it can"""
    with Rig(scratch) as rig, rig.reader() as end:
        rig.source.put(small(1))
        tap.equal(end.next()[3], 1, "rows")
        rig.acknowledged(1)
        pid = rig.decode.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, LIMIT)
        rig.source.put(small(2))
        rig.says("input waits")
        end.silent(0.5)
        tap.equal(rig.source.acknowledged(), 1, "acknowledged")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        tap.equal(end.next()[2:4], [2, 1], "number and rows, later")
        rig.acknowledged(2)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, LIMIT)
        rig.source.put(small(3))
        netflow.wait_for(lambda: rig.decode.err.read_text().count(
            "input waits") > 1, "the message")
        rig.decode.again()
        with rig.reader(begin=2) as other:
            tap.equal(other.next()[2:4], [3, 1], "number and rows, after kill")
            other.silent()
        rig.acknowledged(3)


def test_commit_at_the_end(scratch):
    """what stdin gave and cannot be committed holds the end up until it can"""
    if not links:
        raise tap.Skip("no python3-msgpack")
    path, said = scratch / "flowdecode.sock", scratch / "err"

    def decode():
        with open(said, "ab") as err:
            return subprocess.Popen(
                [tap.program("flowdecode"), "--serve", path, "--ring",
                 scratch / "ring", "--state", scratch / "state"],
                stdin=subprocess.PIPE, stderr=err)

    with decode() as p:
        netflow.wait_for(path.exists, "the socket")
        before = resource.prlimit(p.pid, resource.RLIMIT_FSIZE, LIMIT)
        p.stdin.write(small(1)(1, 77))
        p.stdin.close()
        netflow.wait_for(lambda: "input waits" in said.read_text(),
                         "the message")
        time.sleep(0.5)
        tap.equal(p.poll(), None, "exit status while it is stuck")
        resource.prlimit(p.pid, resource.RLIMIT_FSIZE, before)
        tap.equal(p.wait(60), 0, "exit status, later")
    with decode() as p, readers.reader(path, "logger", 0, "records") as end:
        tap.equal(end.next()[3], 1, "rows")
        p.stdin.close()


def test_ring_lost(scratch):
    """a ring that is gone is said; input goes on where it was"""
    with Rig(scratch) as rig:
        with rig.reader() as end:
            for i in range(5):
                rig.source.put(small(i))
            rows = 0
            while rows < 5:
                rows += end.next()[3]
            stream = end.hello["stream"]
        rig.acknowledged(5)
        rig.decode.kill()
        (scratch / "ring" / "flowdecode.ring").unlink()
        rig.decode.start()
        rig.says("readers had not acknowledged is lost")
        with rig.reader() as end:
            tap.equal(end.hello["stream"] != stream, True, "another stream")
            end.silent(0.5)
            rig.source.put(small(5))
            tap.equal(end.next()[2:4], [1, 1], "number and rows")

        def ledger():
            total = json.loads(rig.stats.read_text())["total"]
            return total["datagrams"], total["missing"]
        netflow.wait_for(lambda: ledger() == (6, 0), "the ledger")


def test_no_datagram(scratch):
    """what is no datagram does not end it, nor is it passed over"""
    with Rig(scratch) as rig, rig.reader() as end:
        rig.source.put(small(1))
        tap.equal(end.next()[3], 1, "rows")
        rig.acknowledged(1)
        rig.source.put(lambda number, stream: msgpack.packb(
            [99, stream, number, "of a later version"]))
        rig.source.put(small(3))
        rig.says("trying again")
        end.silent(1.5)
        said = rig.decode.err.read_text()
        tap.equal(said.count("trying again"), 1, said)
        tap.equal(len(rig.source.begins) < 12, True,
                  f"{len(rig.source.begins)} attempts")
        tap.equal(set(rig.source.begins[1:]), {1}, "they begin there")
        with rig.source.lock:  # by another program, say
            rig.source.objects[1] = small(2)(2, rig.source.stream)
        rows = 0
        while rows < 2:
            rows += end.next()[3]
        rig.acknowledged(3)
        rig.says("connected")


def test_ledger(scratch):
    """the ledger and sequence numbers go on after a kill"""
    with Rig(scratch) as rig:
        for i in range(3):
            rig.source.put(small(i))
        rig.source.put(datagram(v9.a_set(300, b"waits")))
        rig.acknowledged(4)
        rig.decode.again()
        rig.source.put(datagram(v9.a_set(257, b"\0\1"), sequence=9))

        def total():
            return json.loads(rig.stats.read_text())["total"]
        netflow.wait_for(lambda: total()["datagrams"] == 5, "the fifth")
        for what, wanted in (("sets", 8), ("sets_decoded", 4), ("records", 4),
                             ("sets_templates", 3), ("sets_waiting", 1),
                             ("gaps", 1), ("missing", 5), ("restarts", 0)):
            tap.equal(total()[what], wanted, what)
        x, = json.loads(rig.stats.read_text())["exporters"]
        tap.equal(x["last_seen"], "2023-11-14T22:13:20Z", "last_seen")
        for _ in range(3):
            rig.decode.again()
        netflow.wait_for(lambda: total()["datagrams"] == 5, "the same")
        tap.equal((total()["sets"], total()["sets_waiting"]), (8, 1), "sets")


def flowlog(scratch, *args):
    done = subprocess.run([tap.program("flowlog"), *args[:1], "--config",
                           scratch / "loggers", "--state", scratch / "flowlog",
                           *args[1:]], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    tap.equal(done.returncode, 0, f"exit of {args}: {done.stderr}")
    return done.stderr


def test_forget(scratch):
    """a logger that is removed holds nothing any more"""
    with Rig(scratch) as rig:
        for name in "gone", "stays":
            flowlog(scratch, "create", name)
            flowlog(scratch, "start", "--init", "none", name)
        netflow.wait_for(lambda: set(rig.known()) == {"gone", "stays"},
                         "two readers")
        flowlog(scratch, "stop", "--init", "none", "gone")
        for i in range(10):
            rig.source.put(small(i))
        netflow.wait_for(lambda: rig.known() == {"gone": 10, "stays": 0},
                         "what waits")
        tap.equal(flowlog(scratch, "remove", "gone"), "", "said")
        netflow.wait_for(lambda: rig.known() == {"stays": 0}, "one reader")
        with readers.End(rig.socket, "records", name="stays",
                         forget=True) as end:
            tap.equal(end.hello["error"], "the reader stays is there",
                      "one that is there")
        tap.equal(flowlog(scratch, "remove", "--init", "none", "stays"), "",
                  "said, of one that runs")
        netflow.wait_for(lambda: rig.known() == {}, "no reader")
        flowlog(scratch, "create", "late")
        flowlog(scratch, "start", "--init", "none", "late")
        netflow.wait_for(lambda: set(rig.known()) == {"late"}, "a reader")
        flowlog(scratch, "stop", "--init", "none", "late")
        flowlog(scratch, "create", "never")
    tap.equal("flowdecode may keep records for late" in
              flowlog(scratch, "remove", "late"), True, "said, of nobody")
    tap.equal(flowlog(scratch, "remove", "never"), "", "of one that never ran")


tap.main(globals())
