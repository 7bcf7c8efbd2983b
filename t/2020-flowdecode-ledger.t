#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""flowdecode's ledger as a file of JSON, and what it keeps apart by port."""
import json
import os
import random
import re
import select
import signal
import subprocess
import threading

import exporters
import netflow
import scrape
import tap
import v9

DATA = v9.datagram(v9.message(v9.a_set(256, b"\0\7"))) if v9.msgpack else b""
PORT = (7, 2)


def some():
    """Some of everything."""
    return b"".join((
        DATA,
        v9.datagram(v9.message(v9.template(256, PORT), sequence=1)),
        v9.datagram(v9.message(v9.a_set(257, bytes(8)), sequence=5)),
        v9.datagram(v9.message(v9.a_set(9, bytes(8)), source=2)),
        v9.datagram(b"\0\11\0", address="10.9.8.7"),
        v9.datagram(b"junk", address="10.9.8.7"),
    ))


def figures(text):
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", text)}


def check_ledger(ledger):
    parts = ("decoded", "options", "templates", "waiting", "expired",
             "malformed")
    tap.equal(sum(ledger.get("sets_" + p, 0) for p in parts),
              ledger.get("sets", 0), f"sets of {ledger}")


def same(counts, words):
    """The text leaves out what is 0."""
    tap.equal({k: v for k, v in counts.items() if v}, words, "counts")


def test_same_figures(scratch):
    """--stats has the figures of -v, for each exporter and for all"""
    done = subprocess.run(
        [tap.program("flowdecode"), "-v", "--stats", scratch / "stats"],
        input=some(), capture_output=True, timeout=30)
    tap.equal(done.returncode, 0, f"exit code ({done.stderr})")
    lines = done.stderr.decode().splitlines()
    stats = json.loads((scratch / "stats").read_text())
    same(stats["total"], figures(next(x for x in lines if "total: " in x)))
    tap.equal(stats["total"]["sets_waiting"], 1, "waiting")
    tap.equal(stats["total"]["sets_decoded"], 1, "decoded")
    tap.equal(stats["total"]["missing"], 3, "missing")
    tap.equal(stats["total"]["bad_set_id"], 1, "malformed by reason")
    tap.equal(stats["waiting_bytes"] > 0, True, "waiting_bytes")
    tap.equal(stats["exporters_known"], len(stats["exporters"]), "exporters")
    for x in stats["exporters"]:
        check_ledger(x)
        name = f"{x.pop('exporter')} version {x.pop('version')} " \
               f"source {x.pop('source_id')}"
        name = re.sub("version 0 source 0", "(not NetFlow)", name)
        tap.equal(x.pop("last_seen"), "2023-11-14T22:13:20Z", "last_seen")
        x.pop("clock_offset", None)
        line = next(t for t in lines if f": {name}: datagrams" in t)
        same(x, figures(line.split(name)[1]))
    check_ledger(stats["total"])
    tap.equal(os.listdir(scratch), ["stats"], "files")


def start(*args):
    return subprocess.Popen([tap.program("flowdecode"), *args],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def test_replaced(scratch):
    """the file is there at the start and written anew as it goes, whole"""
    path = scratch / "stats"
    p = start("--stats", str(path))
    netflow.wait_for(path.exists, "the first")
    first = json.loads(path.read_text())
    tap.equal((first["total"]["datagrams"], first["pid"], first["exporters"]),
              (0, p.pid, []), "at the start")
    p.stdin.write(some())
    p.stdin.flush()

    def second():
        return json.loads(path.read_text())["total"]["datagrams"] == 6
    netflow.wait_for(second, "the next")
    p.send_signal(signal.SIGUSR1)
    p.communicate(timeout=30)
    tap.equal(p.returncode, 0, "exit code")


def test_cannot_be_written(scratch):
    """a file that cannot be written is said at once; later it stops nothing"""
    p = start("--stats", str(scratch / "no" / "stats"))
    out, errors = p.communicate(b"", timeout=30)
    tap.equal(p.returncode, 1, "exit code")
    assert b"flowdecode: --stats" in errors, errors
    (scratch / "dir").mkdir()
    p = start("--stats", str(scratch / "dir" / "stats"))
    netflow.wait_for((scratch / "dir" / "stats").exists, "the first")
    (scratch / "dir").rename(scratch / "moved")
    out, errors = p.communicate(some(), timeout=30)
    tap.equal((p.returncode, len(v9.batches(out))), (0, 1), "result")
    assert b"cannot write" in errors, errors


def test_waits(scratch):
    """--wait says how much waits and how long, and what is wrong with it"""
    late = DATA + v9.datagram(v9.message(v9.template(256, PORT)))
    for option, rows in (("64M", 1), ("1K,5", 1), ("0", 0), ("10", 0),
                         ("0,0", 0), ("1G,31000000", 1)):
        got, ledger = v9.decode(late, "--wait", option)
        tap.equal(sum(b[3] for b in got), rows, option)
        tap.equal(ledger.get("sets_expired", 0), 1 - rows, option)
    for option in ("", ",", "M", "1M,", "x", "-1", "1T", "99999999999G",
                   "1M,99999999999", "1M,5,6", "65G"):
        p = start("--wait", option)
        out, errors = p.communicate(b"", timeout=30)
        tap.equal((p.returncode, out), (2, b""), option)
        assert b"--wait" in errors, errors


def ledger_of(p):
    """What SIGUSR1 makes it print."""
    p.send_signal(signal.SIGUSR1)
    text = ""
    while "waiting_bytes=" not in text:
        if not select.select([p.stderr], [], [], 0.1)[0]:
            p.send_signal(signal.SIGUSR1)
            continue
        more = os.read(p.stderr.fileno(), 65536).decode()
        assert more, "it has ended"
        text += more
    return v9.totals(text)


def test_time(scratch):
    """what waits is given up after its time"""
    p = start("--wait", "1M,2", "--stats", str(scratch / "stats"))
    netflow.wait_for((scratch / "stats").exists, "start")
    p.stdin.write(DATA)
    p.stdin.flush()
    netflow.wait_for(lambda: ledger_of(p).get("sets_waiting"), "waiting")
    netflow.wait_for(lambda: ledger_of(p).get("sets_expired"), "given up")
    p.communicate(timeout=30)


FALL = ("sets_waiting", "missing")  # other counts never do


class Watch:
    """Checks a ledger whenever it is looked at: all of it, and that it does
    not fall."""

    def __init__(self):
        self.before, self.moments, self.waited, self.malformed = {}, 0, 0, 0

    def look(self, total, parts):
        check_ledger(total)
        summed = dict.fromkeys(total, 0)
        for x in parts:
            check_ledger(x)
            for k, v in x.items():
                summed[k] = summed.get(k, 0) + v
        tap.equal({k: v for k, v in summed.items() if v},
                  {k: v for k, v in total.items() if v}, "sum of exporters")
        for k, v in self.before.items():
            assert k in FALL or total.get(k, 0) >= v, (k, v, total)
        if total.get("datagrams", 0) > self.before.get("datagrams", 0):
            self.moments += 1
        self.waited = max(self.waited, total.get("sets_waiting", 0))
        self.malformed = total.get("sets_malformed", 0)
        self.before = total


def printed(p, lines):
    """What SIGUSR1 prints: the total, and a ledger for each exporter."""
    total, parts, known = None, [], None
    p.send_signal(signal.SIGUSR1)
    for line in lines:
        if "total: " in line:
            total = figures(line)
        elif total is not None and known is None:
            known = figures(line)["exporters"]
        elif " version " in line or "(not NetFlow):" in line:
            if "said once" not in line:
                parts.append(figures(line.split(": ", 2)[2]))
        if known is not None and len(parts) == known:
            return total, parts
    raise AssertionError("it has ended")


def scraped(port, names):
    """The same of --metrics."""
    _, _, text = scrape.get(port)
    total, parts = {}, {}
    for one, name, labels, value in re.findall(
            r"^flowdecode_(exporter_)?(\w+?)(?:_total)?(?:{(.*)})? (\d+)$",
            text.decode(), re.M):
        if name in names:
            x = parts.setdefault(labels, {}) if one else total
            x[name] = int(value)
    return total, list(parts.values())


def written(path):
    """The same of --stats."""
    whole = json.loads(path.read_text())
    return whole["total"], [{k: x[k] for k in whole["total"]}
                            for x in whole["exporters"]]


def test_any_moment(scratch):
    """the identities hold at any moment, with load, bad data and late ones"""
    if not v9.msgpack:
        raise tap.Skip("python3-msgpack is not installed")
    rng, done = random.Random(1), threading.Event()
    load = [v9.msgpack.packb([1, 7, 1, "default", time, address.packed, port,
                              payload], use_bin_type=True)
            for net in range(8)
            for time, address, port, payload in exporters.stream(rng, net, 60)]
    port = scrape.free_port()
    stats = scratch / "stats"
    with subprocess.Popen(
            [tap.program("flowdecode"), "--stats", stats, "--wait", "20K",
             "--metrics", str(port)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as p:
        def feed():
            while not done.is_set():
                for d in load:
                    p.stdin.write(d)
            p.stdin.close()

        feeder = threading.Thread(target=feed)
        lines = (line.decode() for line in p.stderr)
        watches = by_signal, by_file, by_scrape = Watch(), Watch(), Watch()
        netflow.wait_for(stats.exists, "start")
        feeder.start()
        try:
            while by_signal.moments < 40:
                by_signal.look(*printed(p, lines))
                by_file.look(*written(stats))
                if by_signal.moments % 8 == 0:
                    by_scrape.look(*scraped(port, by_file.before))
        finally:
            done.set()
            for _ in lines:
                pass
            feeder.join()
    tap.equal((by_file.moments > 30, by_scrape.moments > 3), (True, True),
              "moments")
    for w in watches:
        assert w.waited > 0 and w.malformed > 0, w.before
        assert w.before["sets_expired"] > 0, w.before
    by_file.look(*written(stats))
    tap.comment(f"{by_signal.moments} moments in "
                f"{by_file.before['datagrams']} datagrams")


def test_scope(scratch):
    """--template-scope port: what holds, holds for a port"""
    data = b"".join((
        v9.datagram(v9.message(v9.template(256, PORT), sequence=10), port=1),
        v9.datagram(v9.message(v9.template(256, (11, 2)), sequence=20),
                    port=2),
        v9.datagram(v9.message(v9.a_set(256, b"\0\1"), sequence=11), port=1),
        v9.datagram(v9.message(v9.a_set(256, b"\0\2"), sequence=21), port=2),
        v9.datagram(v9.message(v9.a_set(256, b"\0\3"), sequence=30), port=3),
        v9.datagram(v9.message(v9.template(256, PORT), sequence=31), port=3),
    ))
    got, ledger = v9.decode(data, "--template-scope", "port",
                            "--stats", scratch / "stats")
    ports = [b for b in got if "src_port" in b[4]]
    tap.equal(v9.column(ports, "src_port"), [1, 3], "src_port")
    tap.equal(v9.column([b for b in got if "dst_port" in b[4]], "dst_port"),
              [2], "dst_port")
    tap.equal((ledger.get("gaps"), ledger.get("restarts")), (None, None),
              "sequence")
    stats = json.loads((scratch / "stats").read_text())
    tap.equal(sorted(x["exporter_port"] for x in stats["exporters"]),
              [1, 2, 3], "exporters")
    got, ledger = v9.decode(data, "--template-scope=address")
    tap.equal(v9.column(got, "dst_port"), [1, 2, 3], "by address")
    p = start("--template-scope", "domain")
    p.communicate(b"", timeout=30)
    tap.equal(p.returncode, 2, "another scope")


tap.main(globals())
