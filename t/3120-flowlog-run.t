#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Named loggers at work between sockets: counters that hold after a kill, one
# that is slow or dead beside one that is not, trace and last.
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403
from links import Source, Store, wait  # noqa: E402

scratch = tempfile.TemporaryDirectory()
work = pathlib.Path(scratch.name)
os.environ["FLOW_RUN"] = str(work)
os.environ["TZ"] = "IST-5:30"
DIRS = ["--config", str(work / "config"), "--state", str(work / "state")]
FLOWLOG = os.path.join(BUILD, "flowlog", "flowlog")
T = 1371318887000000  # 2013-06-15 17:54:47 UTC
ROWS = 31


def flowlog(verb, *args):
    status, out, err = run(["flowlog", verb, *DIRS, *args])
    return status, out.decode(), err


def done_well(verb, *args):
    got = flowlog(verb, *args)
    is_((got[0], got[2]), (0, ""), "flowlog %s %s" % (verb, args[-1]))
    return got[1]


def make(number, stream):
    """Two source ids in turn; times go on by a second a batch."""
    return batch(ROWS, {
        "_time": ("time", [T + number * 1000000 + i for i in range(ROWS)]),
        "n": ("u32", [number * 100 + i for i in range(ROWS)]),
        "source_id": ("u32", [71 + i % 2 for i in range(ROWS)]),
        "octet_count": ("u64", All(10)),
        "name": ("string", All("a\x1bb"))}, number, stream)


def status(name):
    return json.loads(flowlog("show", name, "--json")[1])


def count(name):
    return status(name)["log_count"]


def stored(store, table):
    return [n for o in list(store.tables.get(table, []))
            for n in Batch(o).columns.get("n", [])]


def of(source_id, batches):
    return [n * 100 + i for n in range(1, batches + 1) for i in range(ROWS)
            if 71 + i % 2 == source_id]


def counting():
    """A logger without a table only counts."""
    source = Source(work / "flowdecode.sock")
    done_well("create", "counts")
    done_well("start", "--init", "none", "counts")
    wait(lambda: status("counts")["connected"], "connection")
    for _ in range(7):
        source.put(make)
    wait(lambda: count("counts") == 7 * ROWS, "all counted")
    page = done_well("show", "counts")
    is_(page, "Logger [counts]\n"
              "* Description: null\n"
              "* Logger Factory: local\\netflow\n"
              "* Status: Running\n"
              "* Interval: 0ms\n"
              "* Last Log: 2013-06-15 23:24:54\n"
              "* Last Run: N/A\n"
              "* Log Count: 217\n"
              "* Drop Count: 0\n"
              "Configuration\n",
        "the status page, with the time of the last record, local")
    wait(lambda: source.acknowledged() == 7, "acknowledgement")
    last = done_well("last", "counts")
    is_(json.loads(last)["n"], 730, "the last record")
    ok("\x1b" not in last, "fit for a terminal", last)
    pid = status("counts")["pid"]
    for _ in range(5):
        source.put(make)
    time.sleep(.1)
    os.kill(pid, signal.SIGKILL)
    wait(lambda: status("counts")["status"] == "stopped", "death")
    ok("* Status: Stopped\n" in flowlog("show", "counts")[1],
       "after kill -9 it is stopped")
    source.put(make)
    done_well("start", "--init", "none", "counts")
    wait(lambda: count("counts") == 13 * ROWS, "no more, no less")
    time.sleep(.3)
    is_(count("counts"), 13 * ROWS, "each record is counted once")
    source.renew()
    source.put(make)
    wait(lambda: count("counts") == 14 * ROWS, "a new stream goes on counting")
    source.cut()
    source.put(make)
    wait(lambda: count("counts") == 15 * ROWS, "and a new connection")
    done_well("stop", "--init", "none", "counts")
    is_(count("counts"), 15 * ROWS, "counters stay when it is stopped")
    source.put(make)
    done_well("start", "--init", "none", "counts")
    wait(lambda: count("counts") == 16 * ROWS, "what came meanwhile")
    ok(True, "what came while it was stopped has waited")
    done_well("stop", "--init", "none", "counts")
    source.close()
    done_well("start", "--init", "none", "counts")
    time.sleep(1.5)  # it has saved what it knows meanwhile
    source.open()
    source.put(make)
    wait(lambda: count("counts") >= 17 * ROWS, "the next")
    time.sleep(.3)
    is_(count("counts"), 17 * ROWS, "nor twice where it had to wait for them")
    done_well("remove", "--init", "none", "counts")
    source.close()


def dropping():
    source = Source(work / "flowdecode.sock")
    done_well("create", "--source-id", "71", "--match", "n=0$", "drops")
    done_well("start", "--init", "none", "drops")
    for _ in range(5):
        source.put(make)
    want = [n for n in of(71, 5) if n % 10 == 0]
    wait(lambda: count("drops") == len(want), "all")
    s = status("drops")
    is_((s["drop_count"], s["filter_count"]),
        (len(of(71, 5)) - len(want), len(of(72, 5))),
        "dropped and filtered apart, and all adds up")
    ok("* Drop Count: %d\n" % s["drop_count"] in flowlog("show", "drops")[1],
       "on the page")
    done_well("remove", "--init", "none", "drops")
    source.close()


def two():
    """Different source ids and fields into two tables; one is killed."""
    source = Source(work / "flowdecode.sock")
    store = Store(work / "flowstore.sock")
    done_well("create", "--source-id", "71", "--fields", "n,octet_count",
              "--table", "first", "--host", "h1", "one")
    done_well("create", "--source-id", "72", "--fields", "n,name", "--table",
              "second", "two")
    for name in ("one", "two"):
        done_well("start", "--init", "none", name)
    for i in range(60):
        source.put(make)
        if i == 20:
            os.kill(status("one")["pid"], signal.SIGKILL)
        if i == 40:
            wait(lambda: status("one")["status"] == "stopped", "death")
            done_well("start", "--init", "none", "one")
        time.sleep(.01)
    wait(lambda: len(stored(store, "first")) == len(of(71, 60)) and
         len(stored(store, "second")) == len(of(72, 60)), "all stored")
    is_(stored(store, "first"), of(71, 60), "one is exact, after kill -9")
    is_(stored(store, "second"), of(72, 60), "so is the other")
    is_(sorted(Batch(store.tables["first"][0]).types),
        ["_time", "n", "octet_count"], "with its fields")
    is_(sorted(Batch(store.tables["second"][0]).types),
        ["_time", "n", "name"], "each")
    wait(lambda: (count("one"), count("two")) ==
         (len(of(71, 60)), len(of(72, 60))), "counts")
    ok(True, "the counts are those of the tables")
    is_({(h["name"], h["table"], h.get("host")) for h in store.hellos},
        {("one", "first", "h1"), ("two", "second", None)},
        "hellos say name, table and host")
    for name in ("one", "two"):
        done_well("stop", "--init", "none", name)
    source.close()
    store.close()


def apart():
    """One that is stuck does not hold up the other, nor who serves them."""
    source = Source(work / "flowdecode.sock")
    store = Store(work / "flowstore.sock")
    for name in ("one", "two"):
        done_well("start", "--init", "none", name)
    wait(lambda: status("one")["connected"] and status("two")["connected"],
         "connections")
    stuck = status("one")["pid"]
    os.kill(stuck, signal.SIGSTOP)
    for _ in range(2000):
        source.put(make)
    wait(lambda: len(stored(store, "second")) == len(of(72, 2000)), "two")
    ok(True, "the other gets all while one is stopped")
    is_(stored(store, "first"), [], "which gets nothing")
    os.kill(stuck, signal.SIGCONT)
    wait(lambda: len(stored(store, "first")) == len(of(71, 2000)), "one")
    ok(True, "until it goes on")
    for name in ("one", "two"):
        done_well("remove", "--init", "none", name)
    source.close()
    store.close()


def full():
    """A state that cannot be written loses nothing: it comes again."""
    source = Source(work / "flowdecode.sock")
    done_well("create", "full")
    done_well("start", "--init", "none", "full")
    source.put(make)
    wait(lambda: source.acknowledged() == 1, "first")
    blocked = work / "state" / "full.json.new"
    blocked.mkdir()
    source.put(make)
    time.sleep(1.5)
    is_(source.acknowledged(), 1, "what is not on disk is not acknowledged")
    os.kill(status("full")["pid"], signal.SIGKILL)
    blocked.rmdir()
    wait(lambda: status("full")["status"] == "stopped", "death")
    done_well("start", "--init", "none", "full")
    wait(lambda: count("full") == 2 * ROWS, "both")
    wait(lambda: source.acknowledged() == 2, "acknowledgement")
    is_(count("full"), 2 * ROWS, "and is counted once")
    done_well("stop", "--init", "none", "full")
    (work / "state" / "full.json").write_bytes(os.urandom(500))
    is_(count("full"), 0, "a state that is damaged is none")
    done_well("remove", "--init", "none", "full")
    source.close()


def trace():
    source = Source(work / "flowdecode.sock")
    for _ in range(3):
        source.put(make)
    done_well("create", "--source-id", "72", "--where", "n % 100 < 4",
              "traced")
    p = subprocess.Popen([FLOWLOG, "trace", *DIRS, "traced"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    is_([p.stdout.readline() for _ in range(2)],
        [b"press ctrl-c to stop\n", b"--------------------\n"], "trace")
    wait(lambda: source.begins, "reader")
    is_(("name" in source.hellos[-1], source.begins[-1]), (False, 3),
        "a passing reader, from now on")
    source.put(make)
    is_([p.stdout.readline() for _ in range(2)],
        [b"{_time=2013-06-15T17:54:51.000001Z, n=401, name=a\\x1bb, "
         b"octet_count=10, source_id=72}\n",
         b"{_time=2013-06-15T17:54:51.000003Z, n=403, name=a\\x1bb, "
         b"octet_count=10, source_id=72}\n"],
        "live records, as the logger would log them")
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    is_((p.returncode, out, err), (0, b"interrupted\n", b""), "until Ctrl-C")
    is_(status("traced")["log_count"], 0, "and nothing is counted")
    p = subprocess.Popen([FLOWLOG, "trace", *DIRS, "--format", "json",
                          "traced"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    wait(lambda: len(source.begins) == 2, "reader")
    source.put(make)
    is_(json.loads(p.stdout.readline())["n"], 501, "or as JSON")
    p.terminate()
    out, err = p.communicate(timeout=30)
    is_((p.returncode, err), (0, b""), "which ends too")
    done_well("remove", "traced")
    source.close()


def foreground():
    """run, as a service manager would."""
    source = Source(work / "flowdecode.sock")
    done_well("create", "fore")
    p = subprocess.Popen([FLOWLOG, "run", *DIRS, "fore"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    source.put(make)
    wait(lambda: count("fore") == ROWS, "all")
    is_(flowlog("stop", "--init", "none", "fore")[:2],
        (0, "logger stopped\n"), "stop ends it")
    out, err = p.communicate(timeout=30)
    is_((p.returncode, out, err), (0, b"", b""), "in order")
    (work / "config" / "fore.conf").write_text("where = src_addr == 5\n")
    p = subprocess.run([FLOWLOG, "run", *DIRS, "fore"], capture_output=True)
    ok(p.returncode == 1 and b"fore.conf:1: where: " in p.stderr,
       "a wrong definition does not run", p.stderr)
    done_well("remove", "fore")
    source.close()


counting()
dropping()
two()
apart()
full()
trace()
foreground()
done()
