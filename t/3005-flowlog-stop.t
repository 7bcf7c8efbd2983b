#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# flowlog alive: how soon things come through, and how it ends.
import os
import select
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

B = batch(2, {"source_id": ("u32", All(7)), "x": ("u8", [1, 2])})


class Flowlog:
    def __init__(self, *args):
        self.p = subprocess.Popen(
            [os.path.join(BUILD, "flowlog", "flowlog")] + list(args),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)

    def write(self, data):
        self.p.stdin.write(data)
        self.p.stdin.flush()

    def read(self, n, seconds=5, fd=None):
        """What comes until n bytes are there, or it takes too long."""
        fd = fd or self.p.stdout
        out = b""
        end = time.monotonic() + seconds
        while len(out) < n and time.monotonic() < end:
            if select.select([fd], [], [], 0.1)[0]:
                piece = os.read(fd.fileno(), n - len(out))
                if not piece:
                    break
                out += piece
        return out

    def end(self):
        self.p.stdin.close()
        out, err = self.p.stdout.read(), self.p.stderr.read()
        return self.p.wait(10), out, err.decode()


def at_once():
    f = Flowlog()
    for i in range(3):
        f.write(B)
        ok(f.read(len(B)) == B, "a batch passes while the input is open")
    f.write(B[:20])
    ok(f.read(1, 0.3) == b"", "half a batch does not")
    f.write(B[20:])
    ok(f.read(len(B)) == B, "until the rest is there")
    is_(f.end(), (0, b"", ""), "the end of input ends it")
    f = Flowlog("--format", "json")
    f.write(B)
    line = b'{"source_id":7,"x":1}\n'
    is_(f.read(len(line)), line, "text is not held back")
    f.end()
    f = Flowlog()
    f.write(msgpack.packb({"x": 1}))
    got = f.read(20, 2)
    ok(len(got) > 0, "a lone row comes within a second or so", got)
    f.end()


def signals():
    f = Flowlog("-v")
    f.write(B)
    f.read(len(B))
    f.p.send_signal(signal.SIGUSR1)
    line = f.read(70, fd=f.p.stderr, seconds=2)
    ok(line.startswith(b"flowlog: records: in 2, filtered 0, dropped 0, out 2"),
       "SIGUSR1 tells the counters", line)
    f.p.send_signal(signal.SIGINT)
    time.sleep(0.2)
    f.write(B)
    is_(f.read(len(B)), B, "after a first SIGINT what comes still passes")
    status, out, err = f.end()
    is_((status, out), (0, b""), "and the end of input ends it")
    ok("in 4, filtered 0, dropped 0, out 4" in err, "-v tells the counters", err)
    f = Flowlog()
    f.write(B)
    f.read(len(B))
    f.p.send_signal(signal.SIGTERM)
    is_(f.p.wait(10), 0, "SIGTERM and a pause end it")
    f.end()
    f = Flowlog()
    f.write(B)
    f.read(len(B))
    f.p.send_signal(signal.SIGINT)
    time.sleep(0.2)
    f.p.send_signal(signal.SIGINT)
    is_(f.p.wait(10), -signal.SIGINT, "a second SIGINT kills")
    f.end()


def reader_gone():
    for args in ([], ["--format", "rows"], ["--format", "json"],
                 ["--source-id", "8"]):
        f = Flowlog(*args)
        f.p.stdout.close()
        try:
            for _ in range(3):
                f.write(B)
                time.sleep(0.05)
            f.p.stdin.close()
        except BrokenPipeError:
            pass
        is_((f.p.wait(10), f.p.stderr.read()), (0, b""),
            "a reader that is gone: quiet %s" % " ".join(args))
        f.p.stderr.close()


def full_disk():
    if not os.path.exists("/dev/full"):
        ok(True, "# skip no /dev/full")
        return
    with open("/dev/full", "wb") as full:
        p = subprocess.run([os.path.join(BUILD, "flowlog", "flowlog")],
                           input=B, stdout=full, stderr=subprocess.PIPE)
    ok(p.returncode == 1 and b"No space" in p.stderr,
       "output that cannot be written is an error", p.stderr)


at_once()
signals()
reader_gone()
full_disk()
done()
