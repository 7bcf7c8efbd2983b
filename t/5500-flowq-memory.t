#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""flowq --memory: what does not fit goes to files, and the answer is the same."""
import functools
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import tempfile

import flowq_rows as fr
import tap
from tables import until

ROWS = 100000
DAY = 1795428000000000
SMALL = "4M"
LARGE = "2G"
WORDS = ["", "a", "eth0", "wan", "ä", "x" * 300]


@functools.cache
def rows():
    rng = random.Random(11)
    times = rng.sample(range(10 * ROWS), ROWS)
    out = []
    for i in range(ROWS):
        r = {"_time": DAY + times[i], "n": times[i], "octet_count": i * 7 % 9973,
             "k": rng.randrange(ROWS // 2), "src_port": rng.randrange(60000),
             "protocol": rng.choice([1, 6, 17]), "d": rng.randrange(-500, 500)}
        if i % 3:
            r["name"] = rng.choice(WORDS) + str(rng.randrange(40000))
        if i % 5:
            r["x"] = rng.randrange(100)
        out.append(r)
    return out


@functools.cache
def root():
    """A table of some blocks and two shapes; removed at the end."""
    folder = tempfile.TemporaryDirectory()
    root.keep = folder
    for at in range(0, ROWS, ROWS // 3):
        fr.store(folder.name, "t", rows()[at:at + ROWS // 3])
    return folder.name


class Nth:
    """The value that is not null and has the least n."""

    def __init__(self):
        self.best = None

    def step(self, n, value):
        if value is not None and (not self.best or n < self.best[0]):
            self.best = n, value

    def finalize(self):
        return self.best[1] if self.best else None


class Values:
    def __init__(self):
        self.all = set()

    def step(self, value):
        if value is not None:
            self.all.add(value)

    def finalize(self):
        some = sorted(self.all, key=lambda s: s.encode())
        return ", ".join(some[:100]) if some else None


@functools.cache
def database():
    db = sqlite3.connect(":memory:")
    db.create_aggregate("percentile", 2, fr.Percentile)
    db.create_aggregate("nth", 2, Nth)
    db.create_aggregate("all_values", 1, Values)
    names = ["n", "octet_count", "k", "src_port", "protocol", "d", "name", "x"]
    db.execute(f"create table t ({', '.join(names)})")
    db.executemany(f"insert into t values ({','.join('?' * len(names))})",
                   ([r.get(c) for c in names] for r in rows()))
    return db


def ask(query, memory, *options):
    """Rows, and how many steps have spilled."""
    rc, out, err = fr.ask(root(), query, "--format", "json", "--profile",
                          "--memory", memory, *options)
    tap.equal(rc, 0, f"{query}: {err}")
    spilled = [float(line.split("; ")[-2].split()[0])
               for line in err.splitlines()]
    return ([tuple(json.loads(line).values()) for line in out.splitlines()],
            sum(mib > 0 for mib in spilled))


def same(query, sql, sizes=(SMALL, LARGE), spills=True):
    """The answer is SQLite's at each size, and what is SMALL takes files."""
    want = database().execute(sql).fetchall()
    for memory in sizes:
        got, spilled = ask(query, memory)
        if got != want:
            at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
                      min(len(got), len(want)))
            raise AssertionError(
                f"{memory}: {query}\n{len(got)} rows, wanted {len(want)}; "
                f"row {at}: {got[at:at + 1]}, wanted {want[at:at + 1]}")
        assert not spilled or memory != LARGE, query
        assert spilled or memory != SMALL or not spills, query


def test_groups(_):
    """many groups of numbers, where most rows are of their own, and not"""
    same("table t | stats count, sum(octet_count) as o by k, src_port, d",
         "select k, src_port, d, count(*), sum(octet_count) from t "
         "group by 1, 2, 3 order by 1, 2, 3", (SMALL, "24M", LARGE))
    same("table t | stats count, sum(octet_count) as o, min(d) as a, max(d) "
         "as b by k", "select k, count(*), sum(octet_count), min(d), max(d) "
         "from t group by 1 order by 1")


def test_scattered_rows(_):
    """rows that went to partitions, nulls among what they add"""
    same("table t | stats sum(x) as s, count, sum(octet_count) as o by n | "
         "stats count, sum(s) as s, sum(o) as o, max(n) as m",
         "select count(*), sum(x), sum(octet_count), max(n) from t",
         (SMALL, "24M", LARGE))
    same("table t | stats sum(x) as s, count(x) as c by n, name, protocol | "
         "search s == 99 or isnull(name) | sort n",
         "select n, name, protocol, ifnull(sum(x), 0) as s, count(x) from t "
         "group by 1, 2, 3 having s = 99 or name is null order by 1")


def test_text(_):
    """keys that are text and nulls; aggregates of text"""
    same("table order=asc t | stats count, dc(src_port) as p, max(name) as m, "
         "first(name) as f, values(name) as v by name",
         "select name, count(*), count(distinct src_port), name, name, name "
         "from t group by name order by name")
    same("table order=asc t | stats min(name) as a, max(name) as b, "
         "first(name) as f, last(name) as l, dc(name) as c, values(name) as v "
         "by k",
         "select k, min(name), max(name), nth(n, name), nth(-n, name), "
         "count(distinct name), all_values(name) from t group by 1 order by 1")


def test_values(_):
    """aggregates of all values: dc, median, percentile, estdc; first, last"""
    same("table order=asc t | stats dc(src_port) as d, median(octet_count) "
         "as m, percentile(d, 90) as p, estdc(src_port) as e, first(x) as f, "
         "last(d) as l, range(d) as r by k",
         "select k, count(distinct src_port), percentile(octet_count, 50), "
         "percentile(d, 90), count(distinct src_port), nth(n, x), nth(-n, d), "
         "max(d) - min(d) from t group by 1 order by 1")


def test_few_groups(_):
    """few groups, in a table by their number, that have many values"""
    same("table t | stats dc(n) as n, dc(name) as m, percentile(n, 10) as p, "
         "count by d", "select d, count(distinct n), count(distinct name), "
         "percentile(n, 10), count(*) from t group by 1 order by 1")


def test_estimate(_):
    """estdc of many values keeps its registers"""
    query = "table t | stats estdc(n) as e by protocol, x"
    want, none = ask(query, LARGE)
    got, some = ask(query, SMALL)
    tap.equal((got, none, some > 0), (want, 0, True))


def test_one_group(_):
    """what is of one group alone and does not fit is refused, with a remedy"""
    for query in "stats dc(n)", "stats dc(n) by isnull(d)":
        rc, out, err = fr.ask(root(), f"table t | {query}", "--memory", SMALL)
        tap.equal((rc, out), (1, ""), err)
        assert "MiB: allow more with --memory" in err, err
    tap.equal(ask("table t | stats dc(n)", "64M")[0], [(ROWS,)])


def test_largest(_):
    """the first few of many groups, and of groups that were spilled"""
    same("table t | stats sum(octet_count) as o, count by k | "
         "sort limit=20 -o, k",
         "select k, sum(octet_count) as o, count(*) from t group by 1 "
         "order by o desc, k limit 20", spills=False)
    same("table t | stats dc(name) as c, sum(octet_count) as o by k | "
         "sort limit=20 -o, k",
         "select k, count(distinct name), sum(octet_count) as o from t "
         "group by 1 order by o desc, k limit 20")


def test_top(_):
    """top's shares are of all groups, also of those that were spilled"""
    same("table t | top limit=20 k by dc(name) as c",
         "with g as (select k, count(distinct name) as c from t group by 1) "
         "select k, c, 100.0 * c / (select sum(c) from g) from g "
         "order by c desc, k limit 20")
    same("table t | top limit=100000 n by sum(octet_count) as o",
         "select n, octet_count, 100.0 * octet_count / "
         "(select sum(octet_count) from t) from t "
         "order by octet_count desc, n")


def test_timechart(_):
    """timechart with more spans, and more values, than fit"""
    query = "table t | timechart span=10us fill=no sum(octet_count) by x"
    want, got = ask(query, LARGE), ask(query, "64M")
    tap.equal((len(want[0]) > 10000, want[0] == got[0]), (True, True))
    rc, out, err = fr.ask(root(), query, "--memory", SMALL)
    tap.equal((rc, out), (1, ""), err)
    assert "timechart's rows take more than 4 MiB" in err, err
    tap.equal(ask("table t | timechart span=1s limit=2 count by name | "
                  "stats sum(other) as o", SMALL)[0],
              ask("table t | timechart span=1s limit=2 count by name | "
                  "stats sum(other) as o", LARGE)[0])


def test_dedup(_):
    """dedup whose rows and keys do not fit is refused, with a remedy"""
    rc, out, err = fr.ask(root(), "table t | dedup n", "--memory", SMALL)
    tap.equal((rc, out), (1, ""), err)
    assert "dedup take more than 4 MiB: keep fewer fields" in err, err
    tap.equal(ask("table t | dedup n | stats count", "256M")[0], [(ROWS,)])
    tap.equal(ask("table t | fields protocol, x | dedup protocol | stats "
                  "count", SMALL)[0], [(3,)])


def test_sort(_):
    """sort by text and numbers, nulls first or last, all rows or the first"""
    text = "fields name, x, n, d, octet_count, protocol"
    columns = "name, x, n, d, octet_count, protocol"
    same(f"table t | {text} | sort name, -n",
         f"select {columns} from t order by name, n desc")
    same(f"table t | {text} | sort -name, x, n",
         f"select {columns} from t order by name desc, x, n")
    same(f"table t | {text} | sort -x, d, name, n | limit 70000 50",
         f"select {columns} from t order by x desc, d, name, n "
         "limit 50 offset 70000")
    same(f"table t | {text} | sort limit=60000 -d, n",
         f"select {columns} from t order by d desc, n limit 60000")


def test_sort_is_stable(_):
    """rows that are equal keep their order, in memory and in files"""
    query = "table order=asc t | fields d, n | sort d"
    want = ask(query, LARGE)
    got = ask(query, SMALL)
    tap.equal((got[0] == want[0], want[1], got[1] > 0), (True, 0, True))
    tap.equal(want[0], sorted(want[0]), "by time, which is that of n")


def test_join(_):
    """join with more rows in its brackets than fit"""
    same("table t | fields n, d | join n [ table t | fields n, name, x ] | "
         "sort n", "select n, d, name, x from t order by n")
    same("table t | search d > 480 | fields name, d, n | "
         "join type=left name [ table t | search octet_count > 100 | "
         "stats count as c, max(name) as m by name ] | sort n",
         "select t.name, d, n, c, m from t left join (select name, count(*) "
         "as c, max(name) as m from t where octet_count > 100 group by 1) u "
         "on t.name = u.name where d > 480 order by n", spills=False)


def files_of(pid, folder):
    """Open files of a process below a folder, and the bytes in them."""
    found = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            path = f"/proc/{pid}/fd/{fd}"
            if os.readlink(path).startswith(str(folder)):
                found += os.stat(path).st_size
        except FileNotFoundError:
            pass
    return found


def test_interrupt(scratch):
    """Ctrl-C in the middle leaves no file, nor is there one to be seen"""
    for number, code in (signal.SIGINT, 130), (signal.SIGKILL, -9):
        # Nobody reads the answer: the query can not end by itself.
        with subprocess.Popen(
                [fr.FLOWQ, "--root", root(), "--memory", SMALL,
                 "table t | sort name"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(os.environ, TMPDIR=str(scratch))) as p:
            until(lambda: files_of(p.pid, scratch) > 0)
            tap.equal(os.listdir(scratch), [], "while it runs")
            p.send_signal(number)
            p.communicate()
        tap.equal(p.returncode, code)
        tap.equal(os.listdir(scratch), [], "afterwards")


QUERIES = ("sort name, n", "stats dc(n) as a, values(name) as b by k",
           "stats count by k, n, name", "stats sum(x) as s by k, n",
           "join n [ table t ]")


def refused(options, *texts, **more):
    for query in QUERIES:
        r = subprocess.run(
            [fr.FLOWQ, "--root", root(), "--memory", SMALL, *options,
             f"table t | {query} | stats count"], capture_output=True,
            text=True, timeout=120, **more)
        tap.equal((r.returncode, r.stdout), (1, ""), f"{query}: {r.stderr}")
        tap.equal(r.stderr.count("\n"), 1, r.stderr)
        for text in texts:
            assert text in r.stderr, f"{query}: {r.stderr}"


def test_no_directory(scratch):
    """a directory for files that is none is named, with what to do"""
    (scratch / "file").touch()
    for name in "nowhere", "file":
        refused(["--tmp", str(scratch / name)],
                f"no temporary file can be made in {scratch / name}: ",
                "--tmp names another directory, --memory allows more")
    refused([], "no temporary file can be made in /nowhere",
            env=dict(os.environ, TMPDIR="/nowhere"))


def test_limited_file(scratch):
    """a file that may grow no more (ulimit -f) is an error, not a crash"""
    refused(["--tmp", str(scratch)], f"{scratch}: a temporary file does not "
            "fit, after ", "File too large (--tmp names another directory",
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (300000, resource.RLIM_INFINITY)))
    tap.equal(os.listdir(scratch), [])


def test_full_disk(scratch):
    """so is a full disk"""
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(scratch)],
            capture_output=True).returncode != 0:
        raise tap.Skip("no mount here")
    try:
        refused(["--tmp", str(scratch)], f"{scratch}: a temporary file does "
                "not fit, after ", "No space left on device (--tmp")
        tap.equal(os.statvfs(scratch).f_bavail * 4096, 512 << 10, "free again")
    finally:
        subprocess.run(["umount", str(scratch)], check=True)


def test_option(_):
    """--memory takes sizes of 4 MiB and more"""
    for text in "", "x", "1M", "-1", "4", "1G1":
        rc, out, err = fr.ask(root(), "table t", "--memory", text)
        tap.equal((rc, out), (2, ""), text)
        assert f"--memory: '{text}' is no size" in err, err


tap.main(globals())
