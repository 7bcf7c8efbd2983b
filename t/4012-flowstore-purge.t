#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# flowstore purge: records of a period go, all others stay as they are.
import calendar
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import batch  # noqa: E402
from tables import STORE, Store, command, rows, store, until  # noqa: E402

os.environ["TZ"] = "UTC"
time.tzset()
rnd = random.Random(9)
KILLS = int(os.environ.get("FLOW_TEST_KILLS", "15"))


def at(day, hour=0, minute=0, second=0, us=0):
    return calendar.timegm((2026, 11, day, hour, minute, second)) * 10**6 + us


def part(times, number=0, stream=0):
    n = len(times)
    return batch(n, {"x": ("u32", [rnd.getrandbits(20) for _ in range(n)]),
                     "a": ("ip", [rnd.randbytes(16) for _ in range(n)]),
                     "s": ("string", [None if i % 7 == 3 else str(i % 50)
                                      for i in range(n)]),
                     "_time": ("time", list(times))}, number, stream)


def days(n, first=1, last=10):
    """n times a day in some disorder."""
    out = []
    for day in range(first, last + 1):
        out += [at(day) + rnd.randrange(86400 * 10**6) for _ in range(n)]
    return out


def expect(before, low, high):
    return [r for r in before if not low <= r["_time"] <= high]


def test_periods(root):
    """both ends are inclusive: years to seconds, ISO 8601"""
    edges = [at(5) - 1, at(5), at(5, 12), at(5, 12, 30), at(5, 12, 30, 15),
             at(5, 12, 30, 15, 500000), at(5, 12, 30, 16) - 1,
             at(5, 12, 30, 16), at(5, 12, 31) - 1, at(5, 12, 31),
             at(5, 13) - 1, at(5, 13), at(6) - 1, at(6)]
    day = (at(5), at(6) - 1)
    for start, end, low, high in (
            ("20261105", "20261105", *day),
            ("2026-11-05", "2026-11-05", *day),
            ("2026110512", "2026110512", at(5, 12), at(5, 13) - 1),
            ("202611051230", "202611051230", at(5, 12, 30),
             at(5, 12, 31) - 1),
            ("20261105123015", "20261105123015", at(5, 12, 30, 15),
             at(5, 12, 30, 16) - 1),
            ("2026-11-05T12:30:15Z", "2026-11-05T12:30:15Z",
             at(5, 12, 30, 15), at(5, 12, 30, 16) - 1),
            ("2026-11-05T12:30:15.5Z", "2026-11-05T12:30:15.5Z",
             at(5, 12, 30, 15, 500000), at(5, 12, 30, 15, 500000)),
            ("2026-11-05T12:30", "2026-11-05T12:30", at(5, 12, 30),
             at(5, 12, 31) - 1),
            ("202611", "202611", at(1), at(30, 23, 59, 59, 999999)),
            ("2026", "2026", 0, 2**62),
            ("2026110513", "now", at(5, 13), 2**62),
            ("20261101", "2026110512", 0, at(5, 13) - 1)):
        name = "t%s-%s" % (start.replace(":", ""), end.replace(":", ""))
        store(root, part(edges), table=name)
        want = expect(rows(root, name), low, high)
        if end == "now":  # whenever this runs
            continue
        status, out, err = command(root, "purge", name, start, end)
        tap.equal((status, out, err), (0, "%s: %d records purged\n" % (
            name, len(edges) - len(want)), ""), name)
        assert rows(root, name) == want, (name, rows(root, name), want)


def test_refused(root):
    """what is no day, an end before the start, no table"""
    store(root, part(days(1)))
    for words, why in ((["t", "yesterday", "20261101"], "'yesterday' is no"),
                       (["t", "20261101", "20261301"], "'20261301' is no"),
                       (["t", "20260231", "20261101"], "'20260231' is no"),
                       (["t", "20261102", "20261101"], "is after"),
                       (["u", "20261101", "20261102"], "no table u")):
        status, out, err = command(root, "purge", *words)
        wanted = 1 if words[0] == "u" else 2
        assert status == wanted and why in err, (words, err)
    tap.equal(len(rows(root)), 10, "rows")


def build(root, n=300, segments=6):
    for i in range(segments):
        store(root, b"".join(part(days(n // 5, 1 + i, 5 + i))
                             for _ in range(5)), "--segment-size", "1K")
    return rows(root)


def test_segments(root):
    """over several segments: some go, some are cut, ids stay"""
    before = build(root)
    files = sorted(os.listdir(root / "t"))
    status, out, err = command(root, "purge", "t", "20261101", "20261106")
    want = expect(before, at(1), at(7) - 1)
    tap.equal((status, out, err), (0, "t: %d records purged\n" %
                                   (len(before) - len(want)), ""), "purge")
    assert rows(root) == want, "rows"
    assert len(want) > 1000, len(want)
    after = sorted(os.listdir(root / "t"))
    assert "00000003.flow" in after and ".cut.flow" not in after, after
    assert "00000002.flow" in files and "00000002.flow" not in after, after
    for f in after:
        tap.equal((root / "t" / f).stat().st_mode & 0o777,
                  0o660 if f.endswith("-lock") else 0o640, f)
    tap.equal(command(root, "purge", "t", "20261101", "20261106")[1],
              "t: 0 records purged\n", "again")
    # and all of it; ids go on
    command(root, "purge", "t", "2026", "2026")
    tap.equal(rows(root), [], "rows")
    tap.equal(store(root, part([at(1)])), (0, ""), "more")
    tap.equal([r["_id"] for r in rows(root)], [len(before) + 1], "_id")


def test_writer(root):
    """while a writer writes and readers read"""
    s = Store(root)
    sent, seen, stop = 0, [], threading.Event()

    def write():
        nonlocal sent
        k = 0
        while not stop.is_set():
            k += 1
            s.write(part(days(20), k, 5))
            sent = k
            time.sleep(0.01)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: (root / "t" / "00000001.flow").exists() and
              len(rows(root)) > 2000)
        for day in (3, 4, 5):
            before = rows(root)
            word = "202611%02d" % day
            status, out, err = command(root, "purge", "t", word, word)
            assert (status, err) == (0, ""), err
            after = rows(root)
            ids = {r["_id"] for r in after}
            last = before[-1]["_id"]
            for r in before:
                gone = at(day) <= r["_time"] < at(day + 1)
                assert (r["_id"] in ids) != gone, (r, gone)
            seen.append(last)
            until(lambda: rows(root)[-1]["_id"] > last)
    finally:
        stop.set()
        writer.join()
    tap.equal(s.end(), (0, ""), "end")
    assert seen == sorted(set(seen)), "the writer went on"
    command(root, "purge", "t", "20261103", "20261105")
    got = rows(root)
    assert all(not at(3) <= r["_time"] < at(6) for r in got)
    tap.equal(len([r for r in got]), sent * 20 * 7, "all others are there")


def test_two(root):
    """two purges and a retention at once"""
    before = build(root)
    jobs = [subprocess.Popen([STORE, "--root", str(root), *words],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for words in (["purge", "t", "20261101", "20261103"],
                          ["purge", "t", "20261103", "20261105"],
                          ["retention", "t", "300y"],
                          ["retention", "--apply"])]
    for p in jobs:
        out, err = p.communicate(timeout=60)
        tap.equal((p.returncode, err), (0, b""), p.args)
    assert rows(root) == expect(before, at(1), at(6) - 1)


def test_kill(root):
    """kill -9 at any point: each segment is as it was or as it is to be"""
    before = build(root, 3000, 3)
    want = expect(before, at(2), at(6) - 1)
    kept = {r["_id"] for r in want}
    whole = {r["_id"]: r for r in before}
    start = time.monotonic()
    command(root, "purge", "t", "20261001", "20261101")
    took = time.monotonic() - start
    before = rows(root)
    want = expect(before, at(2), at(6) - 1)
    kept = {r["_id"] for r in want}
    for i in range(KILLS):
        p = subprocess.Popen([STORE, "--root", str(root), "purge", "t",
                              "20261102", "20261105"],
                             stdout=subprocess.DEVNULL)
        time.sleep(rnd.random() * took * 1.2)
        p.kill()
        p.wait()
        got = rows(root)
        assert all(whole[r["_id"]] == r for r in got), "a record changed"
        assert kept <= {r["_id"] for r in got}, "a record was lost"
        # the writer is not held up
        if i % 5 == 0:
            tap.equal(store(root), (0, ""), "a writer")
    command(root, "purge", "t", "20261102", "20261105")
    assert rows(root) == want
    assert ".cut.flow" not in os.listdir(root / "t")


def test_damaged(root):
    """a damaged segment is told, and nothing of it is lost"""
    before = build(root)
    path = root / "t" / "00000002.flow"
    data = bytearray(path.read_bytes())
    i = data.find(b"FBLK")
    while i >= 0:
        data[i + 50] ^= 1
        i = data.find(b"FBLK", i + 1)
    path.write_bytes(data)
    status, out, err = command(root, "purge", "t", "20261101", "20261103")
    assert status == 1 and "table t, 00000002.flow, block" in err, err
    tap.equal(path.read_bytes(), data, "the file")
    assert before


tap.main(globals())
