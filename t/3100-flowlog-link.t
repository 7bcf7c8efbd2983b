#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# --from and --to: a filter between sockets, whose ends come and go.
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403
from links import Source, Store, wait  # noqa: E402

FLOWLOG = os.path.join(BUILD, "flowlog", "flowlog")
ROWS = 50
scratch = tempfile.TemporaryDirectory()


def place(name):
    return os.path.join(scratch.name, name)


def make(number, stream):
    """Rows n with ports 0 to 4 in turn; every seventh batch has port 9."""
    return batch(ROWS, {
        "n": ("u32", [number * ROWS + i for i in range(ROWS)]),
        "dst_port": ("u16", [i % 5 if number % 7 else 9
                             for i in range(ROWS)]),
        "name": ("string", All("x"))}, number, stream)


def start(*args, **kw):
    return subprocess.Popen([FLOWLOG, *args], stderr=subprocess.PIPE, **kw)


def stop(p, number=signal.SIGTERM):
    p.send_signal(number)
    err = p.stderr.read().decode()
    return p.wait(30), err


def wanted(first, last, port):
    return [n * ROWS + i for n in range(first, last + 1)
            for i in range(ROWS) if n % 7 and i % 5 == port]


def stored(store, table="t"):
    return [n for o in store.tables.get(table, [])
            for n in Batch(o).columns.get("n", [])]


def both():
    source, store = Source(place("d")), Store(place("s"))
    for _ in range(10):
        source.put(make)
    p = start("--from", "unix:" + place("d"), "--to", "unix:" + place("s"),
              "--table", "t", "--host", "h", "--name", "me", "--where",
              "dst_port == 3")
    wait(lambda: len(store.tables.get("t", [])) == 10, "ten batches")
    is_(stored(store), wanted(1, 10, 3), "what is wanted is in the store")
    is_([o[2] for o in store.tables["t"]], list(range(1, 11)),
        "with all numbers, one of them empty")
    is_(source.hellos[0], {"version": 1, "role": "records", "name": "me",
                           "table": "t", "host": "h", "stream": 0,
                           "number": 0}, "a hello to flowdecode")
    is_({k: store.hellos[0][k] for k in ("name", "table", "host", "stream")},
        {"name": "me", "table": "t", "host": "h", "stream": source.stream},
        "and to flowstore, with the stream")
    wait(lambda: source.acknowledged() == 10, "acknowledgement")
    ok(True, "flowdecode hears what is safe")
    source.cut()
    for _ in range(10):
        source.put(make)
    wait(lambda: len(store.tables["t"]) == 20, "ten more")
    store.cut()
    source.put(make)
    wait(lambda: len(store.tables["t"]) == 21, "one more")
    is_(stored(store), wanted(1, 21, 3), "exact when either goes")
    status, err = stop(p)
    is_(status, 0, "a signal ends it")
    ok("connection is gone" in err and "connected" in err and
       err.count("\n") <= 8, "and it said so, not too often", err)
    source.close()
    store.close()


def uncommitted():
    """What the store has not committed is lost with it, and comes again."""
    source, store = Source(place("d")), Store(place("s"), auto=False)
    for _ in range(10):
        source.put(make)
    args = ("--from", "unix:" + place("d"), "--to", "unix:" + place("s"),
            "--table", "t", "--name", "me", "--where", "dst_port == 3")
    p = start(*args)
    wait(lambda: any(len(w[2]) == 10 for w in list(store.waiting.values())),
         "ten batches")
    is_(source.acknowledged(), 0, "nothing is acknowledged before a commit")
    store.cut()
    wait(lambda: len(store.hellos) == 2 and
         any(len(w[2]) == 10 for w in list(store.waiting.values())),
         "ten again")
    store.commit()
    wait(lambda: source.acknowledged() == 10, "acknowledgement")
    for _ in range(5):
        source.put(make)
    wait(lambda: any(len(w[2]) == 5 for w in list(store.waiting.values())),
         "five more")
    p.kill()
    p.wait()
    wait(lambda: not store.waiting, "end")
    p = start(*args)
    wait(lambda: any(len(w[2]) == 5 for w in list(store.waiting.values())),
         "the five again")
    store.commit()
    is_(stored(store), wanted(1, 15, 3), "exact after kill -9")
    is_(source.begins[-1], 10, "it resumed after what is safe")
    store.auto = True
    stop(p)
    source.close()
    store.close()


def any_order():
    """Each may start first."""
    store = Store(place("s"))
    p = start("--from", "unix:" + place("d"), "--to", "unix:" + place("s"),
              "--table", "t", "--name", "me")
    is_(p.stderr.readline().decode().endswith("trying again\n"), True,
        "no flowdecode yet: it says so once and tries again")
    source = Source(place("d"))
    source.put(make)
    wait(lambda: len(store.tables.get("t", [])) == 1, "a batch")
    store.close()
    source.put(make)
    store = Store(place("s"))
    wait(lambda: len(store.tables.get("t", [])) == 2, "both again")
    is_([o[2] for o in store.tables["t"]], [1, 2],
        "a store that has forgotten all gets all that there is")
    source.renew()
    source.put(make)
    wait(lambda: len(store.tables["t"]) == 3, "of another stream")
    ok(True, "a new stream begins at its start")
    stop(p)
    source.close()
    store.close()


def stalled():
    """A store that takes nothing holds up flowdecode's other readers not, and
    memory stays bounded."""
    source, store = Source(place("d")), Store(place("s"))
    store.stalled = True
    big = batch(65536, {"n": ("u64", list(range(65536)))}, 1, source.stream)
    for i in range(1, 61):
        source.put(lambda n, s: big[:11] + bytes([n]) + big[12:])
    is_(Batch(next(iter(objects(source.objects[7])))).number, 8,
        "batches of half a megabyte")
    p = start("--from", "unix:" + place("d"), "--to", "unix:" + place("s"),
              "--table", "t", "--name", "me", "--eval", "m = n + 1")
    wait(lambda: store.hellos, "hello")
    time.sleep(1)
    with open("/proc/%d/status" % p.pid) as f:
        rss = int(f.read().split("VmRSS:")[1].split()[0])
    ok(rss < 100 << 10, "it holds less than 100 MB of 60", rss)
    store.stalled = False
    wait(lambda: len(store.tables.get("t", [])) == 60, "all of them")
    is_([o[2] for o in store.tables["t"]], list(range(1, 61)),
        "and all come when it goes on")
    is_(Batch(store.tables["t"][-1]).columns["m"][:3], [1, 2, 3],
        "with what was made")
    stop(p)
    source.close()
    store.close()


def to_stdout():
    source = Source(place("d"))
    for _ in range(3):
        source.put(make)
    p = start("--from", "unix:" + place("d"), "--name", "me", "--format",
              "csv", "--fields", "n", stdout=subprocess.PIPE)
    lines = [p.stdout.readline() for _ in range(3 * ROWS + 1)]
    is_(lines, [b"n\n"] + [b"%d\n" % (ROWS + i) for i in range(3 * ROWS)],
        "--from writes to stdout what there is")
    wait(lambda: source.acknowledged() == 3, "acknowledgement")
    source.cut()
    source.put(make)
    is_(p.stdout.readline(), b"%d\n" % (4 * ROWS), "and what comes, once")
    status, err = stop(p, signal.SIGINT)
    is_(status, 0, "a Ctrl-C ends it")
    p.stdout.close()
    source.close()


def from_stdin():
    store = Store(place("s"))
    data = b"".join(make(i, 5) for i in range(1, 201))
    p = subprocess.run([FLOWLOG, "--to", "unix:" + place("s"), "--table", "t",
                        "--where", "dst_port == 3"], input=data, timeout=60,
                       capture_output=True)
    is_((p.returncode, p.stderr), (0, b""), "--to from stdin")
    is_(stored(store), wanted(1, 200, 3), "stores all before it ends")
    store.close()
    p = subprocess.run([FLOWLOG, "--to", "unix:" + place("s"), "--table",
                        "t"], input=data, timeout=60, capture_output=True)
    ok(p.returncode == 1 and place("s").encode() in p.stderr,
       "no store: an error that names it", p.stderr)


def idle_stdin():
    """A pipe that has nothing for now is not waited for when the store goes
    on."""
    store = Store(place("s"))
    store.stalled = True
    big = batch(65536, {c: ("u64", list(range(65536))) for c in "abcde"})
    p = start("--to", "unix:" + place("s"), "--table", "t",
              stdin=subprocess.PIPE)
    p.stdin.write(big)  # more than a socket takes
    p.stdin.flush()
    time.sleep(0.5)
    store.stalled = False
    wait(lambda: store.tables.get("t"), "the batch")
    p.send_signal(signal.SIGTERM)
    is_(p.wait(30), 0, "a pipe that is silent does not hold up its end")
    p.stdin.close()
    p.stderr.close()
    store.close()


def wrong():
    for args, said in (
            (["--from", "/x"], "'/x' is no socket (unix:PATH)"),
            (["--to", "unix:"], "'unix:' is no socket (unix:PATH)"),
            (["--to", "unix:/x", "--format", "json"], "json is not for --to"),
            (["--from", "unix:/x", "--name", "x" * 64],
             "--name: longer than 63 bytes"),
            (["--table", "t"], "--table goes with --to"),
            (["--host", "h"], "--host goes with --to"),
            (["--name", "x"], "--name goes with --from or --to"),
            (["--description", "x"], "--description is no option of a filter"),
            (["--json"], "--json is no option of a filter")):
        status, out, err = run(["flowlog", *args])
        ok(status == 2 and said in err, " ".join(args)[:40], err)
    source = Source(place("d"))
    source.put(lambda n, s: b"\xc1")
    p = start("--from", "unix:" + place("d"), stdout=subprocess.DEVNULL)
    wait(lambda: len(source.hellos) >= 3, "attempts")
    ok(True, "an object that is none: it connects again, and again")
    status, err = stop(p)
    ok(err.count("\n") < 6, "and says so at most once a second", err)
    source.close()


def liar():
    """A store that says it has what it was never given."""
    source, store = Source(place("d")), Store(place("s"), auto=False)
    for _ in range(5):
        source.put(make)
    p = start("--from", "unix:" + place("d"), "--to", "unix:" + place("s"),
              "--table", "t", "--name", "me")
    wait(lambda: any(len(w[2]) == 5 for w in list(store.waiting.values())),
         "five")
    client = next(iter(store.waiting))
    client.sendall(msgpack.packb([source.stream, 2**64 - 1]))
    wait(lambda: source.acknowledged(), "acknowledgement")
    is_(source.acknowledged(), 5, "a mark is no more than what was sent")
    client.sendall(msgpack.packb(["x"]))
    wait(lambda: len(store.hellos) == 2, "another connection")
    ok(True, "what is no mark: it connects again")
    status, err = stop(p)
    ok("a mark is no pair of numbers" in err, "and says why", err)
    source.close()
    store.close()


both()
uncommitted()
liar()
any_order()
stalled()
to_stdout()
from_stdin()
idle_stdin()
wrong()
done()
