#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""flowq for people: tables, charts, units, the pager, progress, Ctrl-C."""
import os
import signal
import subprocess
import time

import flowq_rows as fr
import tap
from terminal import Terminal

DAY = 1795428000000000  # 2026-11-23T10:00:00Z


def shown(root, query, *options, code=0, **more):
    t = Terminal([fr.FLOWQ, "--root", str(root), *options, query], **more)
    text, rc = t.end()
    tap.equal(rc, code, text)
    return text


def lines(root, query, *options, **more):
    text = shown(root, query, *options, **more)
    return [line.rstrip() for line in text.split("\n")]


def test_table(root):
    """times, protocols, ports and flags are shown as people read them"""
    fr.store(str(root), "t", [
        {"_time": DAY + 250000, "src_addr": "10.0.0.1", "src_port": 40000,
         "dst_port": 443, "protocol": 6, "tcp_flags": 18, "ratio": 1 / 3,
         "octet_count": 1234567},
        {"_time": DAY + 1000000, "src_addr": "2001:db8::1", "src_port": 5,
         "dst_port": 53, "protocol": 17, "ratio": 2.0, "octet_count": 7}])
    fields = ("table order=asc t | fields _time, src_addr, dst_port, protocol,"
              " tcp_flags, ratio, octet_count")
    got = lines(root, fields, width=200)
    tap.equal(got[:3], [
        "_time                   src_addr     dst_port   protocol  tcp_flags"
        "  ratio  octet_count",
        "2026-11-23 10:00:00.25  10.0.0.1     443 https  tcp       ...A..S."
        "   0.333      1234567",
        "2026-11-23 10:00:01     2001:db8::1  53 domain  udp       null    "
        "       2            7"])
    assert got[3].startswith("total 2 rows, elapsed 0."), got
    tap.equal(lines(root, "table order=asc t | fields octet_count", "--units",
                    width=200)[1], "       1.2M")
    env = {"TZ": "Asia/Tokyo"}
    assert "2026-11-23 19:00:01" in shown(root, "table t", env=env)
    assert "2026-11-23 10:00:01" in shown(root, "table t", "--utc", env=env)


def test_width(root):
    """no line is longer than the terminal, however narrow"""
    fr.store(str(root), "t", [
        {"_time": DAY, "name": n, "n": 12345} for n in
        ("x" * 100, "\u4f60\u597d" * 20, "e\u0301" * 50, "\u202eevil",
         "a\x1b[31m\x9b\x07b", "")])
    for width in 1, 2, 10, 39, 80:
        for form in "table", "chart":
            text = shown(root, "table t | stats sum(n) as n by name",
                         "--format", form, width=width, env={"PAGER": "cat"})
            for line in text.split("\n"):
                wide = sum(1 + ("\u4f60" <= c <= "\u5bff") for c in line
                           if c != "\u0301")
                assert wide <= max(width, 40 if form == "chart" else 0), (
                    width, line)
            assert "\x1b" not in text and "\u202e" not in text, text


def test_columns_cut(root):
    """columns that do not fit are counted"""
    fr.store(str(root), "t", [{"_time": DAY, "a": 1, "b": 2}])
    query = "table t | eval w = \"%s\" | fields a, w, b" % ("x" * 50)
    got = lines(root, query, width=54)
    tap.equal(got[2], "columns cut: 1 (fields A, B chooses; --format row)")
    assert got[3].startswith("total 1 rows, elapsed"), got
    got = lines(root, query, width=56)
    assert got[2].startswith("total 1 rows, elapsed"), got
    tap.equal(lines(root, query, width=52)[2],
              "columns cut: 2 (fields A, B chooses; --format row)"[:52])


def test_chart(root):
    """bars for groups, curves over time"""
    fr.store(str(root), "t", [
        {"_time": DAY + 60000000 * i, "src_port": i % 3, "octet_count": i * i}
        for i in range(40)])
    got = lines(root, "table t | stats sum(octet_count) as octets by src_port",
                "--format", "chart", width=60)
    bars = [line.count("\u2588") for line in got[:3]]
    tap.equal([line.split()[:2] for line in got[:3]],
              [["0", "7371"], ["1", "6331"], ["2", "6838"]])
    assert bars[0] > bars[2] > bars[1] > 0, got
    got = lines(root, "table t | stats sum(octet_count) as octets by _time",
                "--format", "chart", width=60)
    tap.equal(got[0], "octets")
    assert got[1].startswith("    1521 \u2502") and len(got) == 11, got
    counts = [line.count("\u2588") for line in got[1:9]]
    tap.equal(counts, sorted(counts), "a curve that grows")
    assert "2026-11-23 10:00:00" in got[9] and \
        got[9].endswith("2026-11-23 10:39:00"), got[9]
    # newest first is drawn the same way round
    again = lines(root, "table t | stats sum(octet_count) as octets by _time |"
                  " sort -_time", "--format", "chart", width=60)
    tap.equal(again[:10], got[:10])
    got = lines(root, "table t | timechart span=10m sum(octet_count) by"
                " src_port", "--format", "chart", width=60)
    tap.equal([got[0], got[5], got[10]], ["0", "2", "1"])
    assert got[15].strip().startswith("2026-11-23 10:00:00") and \
        got[15].endswith("2026-11-23 10:30:00"), got
    tap.equal([got[4][9:15], got[4].count("\u2581") + got[4].count("\u2588")],
              ["\u2502\u2581\u2581\u2581\u2581\u2581", 36])
    got = lines(root, "table t | top limit=2 src_port by sum(octet_count)",
                "--format", "chart", width=60)
    bars = [line.count("\u2588") for line in got[:2]]
    tap.equal([line.split()[:2] for line in got[:2]],
              [["0", "7371"], ["2", "6838"]])
    assert bars[0] > bars[1] > 0, got
    ascii_only = shown(root, "table t | stats count by src_port", "--format",
                       "chart", env={"LC_ALL": "C"})
    assert ascii_only.isascii() and "###" in ascii_only, ascii_only
    text = shown(root, "table t | fields src_port", "--format", "chart", code=1)
    assert "needs a column with numbers" in text


def test_pager(root):
    """what is longer than the terminal goes to $PAGER, else not"""
    fr.store(str(root), "t", [{"_time": DAY + i, "n": i} for i in range(3000)])
    env = {"PAGER": "sed 's/^/P:/'"}
    for form in "table", "row", "csv":
        text = shown(root, "table order=asc t | fields n", "--format", form,
                     env=env)
        got = text.rstrip("\n").split("\n")
        assert all(line.startswith("P:") for line in got), text[:200]
        assert "2999" in text and len(got) >= 3000, len(got)
        text = shown(root, "table t | fields n | limit 5", "--format", form,
                     env=env)
        assert "P:" not in text, text
    text = shown(root, "table t | fields n", "--no-pager", env=env)
    assert "P:" not in text and len(text.split("\n")) >= 3000
    # Lines that wrap count as the lines that they take.
    text = shown(root, "table t | limit 12 | eval s = \"%s\" | fields s" %
                 ("y" * 170), "--format", "row", env=env)
    assert "P:" in text, text


def test_pager_fails(root):
    """a pager that cannot be run loses nothing; one that ends early is fine"""
    fr.store(str(root), "t", [{"_time": DAY + i, "n": i} for i in range(3000)])
    for pager in "/nonexistent/pager", "/etc/passwd":
        text = shown(root, "table order=asc t | fields n", env={"PAGER": pager})
        for n in 0, 1, 500, 2999:
            assert f"\n{n:3}\n" in text, (pager, n, text[:300])
    text = shown(root, "table order=asc t | fields n", env={"PAGER": "head -3"})
    tap.equal(text.split("\n")[:3], ["  n", "  0", "  1"])
    assert "500" not in text
    text = shown(root, "table t | fields n", env={"PAGER": "true"})
    assert text.strip() == "", text


def many(root):
    """A table that takes a while with a join of all with all."""
    fr.store(str(root), "t", [{"_time": DAY + i, "k": 0, "n": i}
                              for i in range(2500)])


SLOW = "table t | join k [ table t | fields k ] | " \
    "eval x = n % 7 | stats sum(x), count by x"


def test_interrupt(root):
    """Ctrl-C ends a query, also one that waits to be read, and leaves no file"""
    many(root)
    for query in (SLOW, SLOW + f" | outputcsv {root}/out.csv",
                  f"table t | join k [ table t ] | outputcsv {root}/out.csv"):
        (root / "out.csv").unlink(missing_ok=True)  # of one that was done
        t = Terminal([fr.FLOWQ, "--root", str(root), query])
        time.sleep(0.3)
        t.type("\x03")
        text, code = t.end()
        if code != 0:  # a fast machine may be done
            assert code == 130 and "interrupted" in text, (code, text)
        tap.equal([p.name for p in root.glob("out.csv.*")], [], "left over")
    reader, writer = os.pipe()
    p = subprocess.Popen([fr.FLOWQ, "--root", str(root), "table t | union "
                          "[ table t ] | union [ table t ]"], stdout=writer)
    os.close(writer)
    time.sleep(0.3)  # the pipe is full
    p.send_signal(signal.SIGINT)
    assert p.wait(30) in (130, 0)
    os.close(reader)


def test_progress(root):
    """a long query shows how far it is, on stderr, and takes that away"""
    many(root)
    t = Terminal([fr.FLOWQ, "--root", str(root), "table t | union [ table t | "
                  "join k [ table t | fields k ] | eval x = n % 7 ] | "
                  "join k [ table t | limit 1 | fields k ] | "
                  "stats sum(x), count"])
    text, code = t.end(120)
    tap.equal(code, 0, text)
    assert text.rstrip().split("\n")[-1].startswith("total 1 rows"), text
    if "rows, " in text.split("total")[0]:
        assert "%, " in text and "\r\x1b[K" in text, text
    # Not where stderr is no terminal.
    r = subprocess.run([fr.FLOWQ, "--root", str(root), SLOW],
                       capture_output=True, text=True)
    tap.equal(r.stderr, "")


def test_profile(root):
    """--profile says what each step read"""
    many(root)
    r = subprocess.run([fr.FLOWQ, "--root", str(root), "--profile",
                        "table t | search n > 2490 | stats count"],
                       capture_output=True, text=True)
    tap.equal((r.returncode, r.stdout), (0, "{count=9}\n"))
    assert "step 1, stats: 1 blocks read" in r.stderr, r.stderr


def test_msgpack(root):
    """msgpack is a map for each row; it is not for a terminal"""
    fr.store(str(root), "t", fr.random_rows(2000, 3))
    r = subprocess.run([fr.FLOWQ, "--root", str(root), "--format", "msgpack",
                        "table t | fields - _id, _table"], capture_output=True)
    tap.equal((r.returncode, r.stderr), (0, b""))
    subprocess.run([fr.FLOWSTORE, "--root", str(root), "u"], input=r.stdout,
                   check=True)
    for query in "stats count, sum(octet_count) by src_addr", \
            "stats min(_time), max(_time)":
        out = [subprocess.run([fr.FLOWQ, "--root", str(root), f"table {t} | "
                               + query], capture_output=True).stdout
               for t in "tu"]
        tap.equal(out[0], out[1], query)
    text = shown(root, "table t", "--format", "msgpack", code=1)
    assert "not for a terminal" in text, text


tap.main(globals())
