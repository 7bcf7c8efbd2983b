#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""flowq as a program: options, order, terminals, pipes, damage."""
import fcntl
import json
import os
import pty
import random
import struct
import subprocess
import termios
import time

import flowq_rows as fr
import tap

DAY = 1795428000000000


def run(*args, **more):
    return subprocess.run([fr.FLOWQ, *args], capture_output=True, text=True,
                          timeout=60, **more)


def answer(root, query, *options, env=None):
    rc, out, err = fr.ask(str(root), query, *options, env=env)
    tap.equal((rc, err), (0, ""), query)
    return out


def test_options(root):
    """help and version on stdout; wrong use is 2 and says so"""
    for option in "--help", "-h", "--version", "-V":
        r = run(option)
        tap.equal((r.returncode, r.stderr), (0, ""), option)
        assert "flowq" in r.stdout
    for args in ([], ["table t", "table t"], ["--format", "xml", "table t"],
                 ["--nonsense", "table t"], [""]):
        r = run("--root", str(root), *args)
        tap.equal((r.returncode, r.stdout), (2, ""), str(args))
        assert r.stderr.startswith("flowq: ") or "flowq:" in r.stderr, args


def test_no_tables(root):
    """a root without tables is an error, with exit 1"""
    r = run("--root", str(root), "table t | stats count")
    tap.equal((r.returncode, r.stdout), (1, ""))
    assert "no table t" in r.stderr, r.stderr
    r = run("--root", str(root / "nowhere"), "table t")
    tap.equal(r.returncode, 1)


def test_order(root):
    """rows come by time and id, though blocks overlap and are not sorted"""
    rng = random.Random(7)
    times = [DAY + rng.randrange(2000) * 1000 for _ in range(9000)]
    for i in range(0, 9000, 1500):
        fr.store(str(root), "t", [{"_time": t, "n": k % 7} for k, t in
                                  enumerate(times[i:i + 1500])])
    for order in "desc", "asc":
        out = answer(root, f"table order={order} t | fields _time, _id",
                     "--format", "csv").splitlines()[1:]
        tap.equal(len(out), 9000, "rows")
        keys = [(a, int(b)) for a, b in (line.split(",") for line in out)]
        # Times as text lose their order where a fraction is cut off.
        keys = [(t[:19], float("0" + t[19:-1]), i) for t, i in keys]
        assert keys == sorted(keys, reverse=order == "desc"), order
        some = answer(root, f"table order={order} t | fields _time, _id | "
                      "limit 700 50", "--format", "csv").splitlines()[1:]
        tap.equal(some, out[700:750], "a piece")
        some = answer(root, f"table order={order} t | search n == 3 | "
                      "fields _time, _id | limit 20", "--format", "csv")
        most = answer(root, f"table order={order} t | search n == 3 | "
                      "fields _time, _id", "--format", "csv")
        tap.equal(some.splitlines(), most.splitlines()[:21], "filtered")


def test_many_groups(root):
    """groups of more than one partition: none lost, none twice, sorted"""
    n = 40000
    fr.store(str(root), "t", [{"_time": DAY, "octet_count": i, "src_port": i % 3,
                               "name": f"n{i}"} for i in range(n)])
    for key in "octet_count", "octet_count, src_port", "name":
        out = answer(root, f"table t | stats count, sum(octet_count) as s by "
                     f"{key}", "--format", "json").splitlines()
        rows = [json.loads(line) for line in out]
        tap.equal(len(rows), n, key)
        tap.equal(sum(r["s"] for r in rows), n * (n - 1) // 2, key)
        keys = [r[key.split(",")[0]] for r in rows]
        assert keys == sorted(keys), key
    out = answer(root, "table t | stats sum(octet_count) as s by name | "
                 "sort limit=3 -s | fields name")
    tap.equal(out.split(), [f"{{name=n{n - i}}}" for i in (1, 2, 3)])


def test_largest(root):
    """the first groups of many are those that come first of all"""
    rng = random.Random(7)
    rows = []
    for i in range(70000):
        row = {"_time": DAY + i,
               "src_addr": f"10.{i % 7}.{i // 256 % 256}.{i % 256}",
               "dst_addr": f"2001:db8::{rng.randrange(40000):x}",
               "src_port": rng.randrange(65536), "dst_port": i % 1000,
               "octet_count": 1 + int(rng.paretovariate(0.5)) % (1 << 34),
               "packet_count": rng.randrange(3), "name": f"n{i % 50000}"}
        if i % 3 == 0:
            row["tos"] = rng.randrange(256)
        if i > 60000:
            row["src_addr"] = rows[i - 60000]["src_addr"]
        rows.append(row)
    fr.store(str(root), "t", rows[:50000])
    fr.store(str(root), "t", rows[50000:])
    for keys in ("src_addr", "src_addr, dst_port", "dst_addr", "name",
                 "src_addr, src_port, dst_port, tos", "dst_addr, src_port"):
        for by in ("sum(octet_count)", "count", "sum(packet_count)"):
            # The other aggregates are of all rows of a group.
            query = (f"stats {by} as x, count as n, max(octet_count) as m, "
                     f"sum(octet_count) as o by {keys} | sort ")
            all_of_them = answer(root, f"table t | {query} -x, o | limit 12")
            tap.equal(answer(root, f"table t | {query} limit=12 -x, o"),
                      all_of_them, f"{by} by {keys}")
            tap.equal(all_of_them.count("\n"), 12, f"{by} by {keys}")
        # The share of each in all of them, whether they were made or not.
        total = json.loads(answer(root, "table t | stats sum(octet_count) as "
                                  "o", "--format", "json"))["o"]
        out = answer(root, f"table t | top limit=12 {keys} by "
                     "sum(octet_count) as o", "--format", "json")
        got = [json.loads(line) for line in out.splitlines()]
        tap.equal([r["percent"] for r in got],
                  [100 * r["o"] / total for r in got], keys)
        assert got == sorted(got, key=lambda r: -r["o"]), keys
        tap.equal(len(got), 12, keys)
    # Of rows that can be read only once.
    tap.equal(answer(root, "table t | sort limit=60000 octet_count | "
                     "stats sum(octet_count) as o by src_addr, src_port | "
                     "sort limit=5 -o | fields o"),
              answer(root, "table t | sort limit=60000 octet_count | "
                     "sort limit=5 -octet_count | "
                     "fields octet_count").replace("octet_count", "o"))


def test_zone(root):
    """times in a query are local, or in UTC with --utc"""
    # 2026-11-23T10:00:00Z is 19:00 in Tokyo.
    fr.store(str(root), "t", [{"_time": DAY, "n": 1}])
    tokyo = {"TZ": "Asia/Tokyo"}
    for query, options, want in (
            ("from=2026112319", [], 1), ("from=2026112320", [], 0),
            ("from=2026112310", ["--utc"], 1),
            ("from=2026112311", ["--utc"], 0),
            ("to=2026112319", [], 0), ("from=202611231900", [], 1),
            ("from=2026-11-23T19:00:00", [], 1),
            ("from=2026-11-23T10:00:01Z", [], 0)):
        out = answer(root, f"table {query} t | stats count", *options,
                     env=tokyo)
        tap.equal(out, "{count=%d}\n" % want, query)


def test_clocks_change(root):
    """a month's last day has its own hour, where clocks change after it"""
    noon = 1693447200 * 10**6  # 2023-08-31 12:00 in Sydney; 10-01 is summer
    fr.store(str(root), "t", [{"_time": noon, "n": 1}])
    out = answer(root, 'table t | eval a = str(dateadd(_time, "month", 1), '
                 '"yyyy-MM-dd HH:mm Z") | fields a',
                 env={"TZ": "Australia/Sydney"})
    tap.equal(out, "{a=2023-09-30 12:00 +1000}\n")


def test_spans(root):
    """spans of time begin where the zone has it, also when clocks change"""
    fr.store(str(root), "t", [
        {"_time": DAY + i * 3600 * 1000000 * 5, "n": i} for i in range(-1500,
                                                                       1500)])
    for zone, span, begin, want in (
            ("Europe/Berlin", "1d", "20260328",
             ["03-27T23", "03-28T23", "03-29T22", "03-30T22"]),
            ("Europe/Berlin", "1d", "20261024",
             ["10-23T22", "10-24T22", "10-25T23", "10-26T23"]),
            ("Europe/Berlin", "6h", "20260329",
             ["03-28T23", "03-29T04", "03-29T10", "03-29T16"]),
            ("Asia/Kathmandu", "12h", "20260328",
             ["03-27T18:15", "03-28T06:15", "03-28T18:15"]),
            ("America/New_York", "1w", "20260302",
             ["03-02T05", "03-09T04", "03-16T04"]),
            ("America/New_York", "1mon", "202602",
             ["02-01T05", "03-01T05", "04-01T04"]),
            ("UTC", "1w", "20260302", ["03-02T00", "03-09T00"])):
        out = answer(root, f"table from={begin} t | timechart span={span} "
                     "count | fields _time", "--format", "csv",
                     env={"TZ": zone})
        got = [line[5:] for line in out.split()[1:]]
        assert [g[:len(w)] for g, w in zip(got, want)] == want, (zone, span,
                                                                 got[:5])
        # datetrunc has the same, and no row is anywhere else.
        chart = answer(root, f"table t | timechart span={span} fill=no count,"
                       " sum(n)", env={"TZ": zone})
        tap.equal(answer(root, "table t | stats count, sum(n) by "
                         f"datetrunc(_time, \"{span}\") as _time",
                         env={"TZ": zone}), chart, f"{span} in {zone}")
    chart = answer(root, "table t | timechart span=1d count", "--utc",
                   env={"TZ": "Asia/Tokyo"})
    assert "T00:00:00Z" in chart.split("\n")[0], chart[:100]


def test_host(root):
    """_host is a column where one was given"""
    fr.store(str(root), "t", [{"_time": DAY, "n": 1}])
    assert "_host" not in answer(root, "table t")
    fr.store(str(root), "t", [{"_time": DAY, "n": 2}], host="edge1")
    tap.equal(answer(root, "table t | stats sum(n) as n by _host"),
              "{_host=null, n=1}\n{_host=edge1, n=2}\n")


def on_terminal(width, *args):
    """Output on a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    p = subprocess.Popen([fr.FLOWQ, *args], stdout=slave)
    os.close(slave)
    text = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(master)
    tap.equal(p.wait(), 0, "exit")
    return text.decode().replace("\r\n", "\n")


def test_terminal(root):
    """a terminal gets a table, cut to its width, and a footer"""
    fr.store(str(root), "t", [
        {"_time": DAY, "n": n, "text": "x" * 30, "more": "y" * 30}
        for n in (5, 12345)])
    text = on_terminal(40, "--root", str(root),
                       "table t | fields n, text, more")
    lines = text.split("\n")
    assert all(len(line) <= 40 for line in lines), text
    tap.equal(lines[0], "    n  text" + " " * 28 + "m", "header")
    tap.equal([line[:7] for line in lines[1:3]], ["12345  ", "    5  "])
    assert lines[3].startswith("columns cut: 1 ("), text
    assert lines[4].startswith("total 2 rows, elapsed "), text


def test_control_bytes(root):
    """nothing that a terminal acts on gets through"""
    fr.store(str(root), "t", [{"_time": DAY, "text": "a\x1b[31m\x07b\n\x9bz"}])
    for form in "row", "table", "json", "csv", "tsv":
        out = answer(root, "table t | fields text", "--format", form)
        assert not any(ord(c) < 32 and c != "\n" and c != "\t" or
                       0x7f <= ord(c) < 0xa0 for c in out), (form, out)


def test_reader_gone(root):
    """a reader that has enough ends it quietly"""
    fr.store(str(root), "t", [{"_time": DAY + i, "n": i} for i in range(60000)])
    p = subprocess.Popen([fr.FLOWQ, "--root", str(root), "table t"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    p.stdout.close()
    tap.equal(p.stderr.read(), b"", "stderr")
    tap.equal(p.wait(), 0, "exit")


def test_full_disk(root):
    """an answer that cannot be written is an error"""
    fr.store(str(root), "t", [{"_time": DAY, "n": 1}])
    with open("/dev/full", "w") as full:
        r = subprocess.run([fr.FLOWQ, "--root", str(root), "table t"],
                           stdout=full, stderr=subprocess.PIPE, text=True)
    tap.equal(r.returncode, 1)
    assert "No space" in r.stderr, r.stderr


def test_damage(root):
    """a damaged table gives an answer or an error, never a crash"""
    rng = random.Random(3)
    fr.store(str(root), "t", fr.random_rows(3000, 3))
    path = next((root / "t").glob("*.flow"))
    good = path.read_bytes()
    queries = ["table t | stats count, sum(octet_count) by src_addr, dst_port",
               "table t | search interface_name == \"e*\" | limit 5",
               "table t | sort limit=5 -octet_count"]
    wrong = 0
    for i in range(120):
        bad = bytearray(good)
        # Beyond the two meta pages, which LMDB trusts.
        for _ in range(rng.choice([1, 8, 64])):
            bad[rng.randrange(8192, len(bad))] = rng.randrange(256)
        path.write_bytes(bad)
        r = run("--root", str(root), queries[i % len(queries)])
        assert r.returncode in (0, 1), (i, r.returncode, r.stderr)
        if r.returncode:
            assert r.stderr.startswith("flowq: "), r.stderr
            wrong += 1
    assert wrong > 5, f"{wrong} errors: the damage did not reach the blocks"


def test_while_writing(root):
    """a query sees what is committed while a writer is at work"""
    p = subprocess.Popen([fr.FLOWSTORE, "--root", str(root), "t"],
                         stdin=subprocess.PIPE)
    try:
        seen = -1
        for i in range(3):
            p.stdin.write(b"".join(
                fr.msgpack.packb({"_time": DAY, "n": k}) for k in range(10)))
            p.stdin.flush()
            end = time.monotonic() + 20
            while seen != 10 * (i + 1) and time.monotonic() < end:
                time.sleep(0.05)
                rc, out, _ = fr.ask(str(root), "table t? | stats count")
                seen = int(out[7:-2]) if rc == 0 else -1
            tap.equal(seen, 10 * (i + 1), "rows")
    finally:
        p.stdin.close()
        tap.equal(p.wait(), 0, "flowstore")


def test_explain(root):
    """explain tells columns, pruned blocks and filters, and reads nothing"""
    for day in range(3):
        fr.store(str(root), "t", [
            {"_time": DAY + day * 86400000000 + i, "dst_port": 100 * day + i,
             "octet_count": i} for i in range(50)])
    out = answer(root, "explain table to=2026-11-25T00:00:00Z t | "
                 "search dst_port >= 100 | stats sum(octet_count)")
    for line in ("  blocks: 3, 1 outside the time range, 1 pruned by the "
                 "filter, 1 where every row passes",
                 "  columns: _time, dst_port, octet_count",
                 "  filter: dst_port in [100, ]"):
        assert line in out.split("\n"), out
    # What a join or a union reads, and what is in its brackets.
    out = answer(root, "explain table t | search dst_port >= 200 | join "
                 "dst_port [ table t | search octet_count == 7 | fields "
                 "dst_port, octet_count ] | union [ table to=2026-11-24 t | "
                 "search dst_port < 10 ] | stats sum(octet_count)")
    for line in ("stage 1: table, then rows",
                 "  filter: octet_count in [7, 7]",
                 "stage 2: union, then stats",
                 "  before union: join",
                 "    before join: table",
                 "      blocks: 3, 0 outside the time range, 2 pruned by the "
                 "filter, 1 where every row passes",
                 "      columns: dst_port, octet_count",
                 "      filter: dst_port in [200, ]",
                 "  in its brackets: table",
                 "    blocks: 3, 2 outside the time range, 0 pruned by the "
                 "filter, 0 where every row passes",
                 "    filter: dst_port in [, 9]"):
        assert line in out.split("\n"), (line, out)
    out = answer(root, "explain table t | timechart limit=1 sum(octet_count) "
                 "by dst_port | sort other")
    tap.equal(out.count("table, then stats"), 2)


tap.main(globals())
