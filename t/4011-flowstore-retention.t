#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# How long a table keeps records: by age, by size, and by room on the disk.
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
from tables import (Store, command, lines, rows, store,  # noqa: E402
                    try_dump, until)

DAY = 86400 * 10**6
rnd = random.Random(3)


def now():
    return time.time_ns() // 1000


def part(n, at=None, number=0, stream=0):
    return batch(n, {"x": ("u64", [rnd.getrandbits(64) for _ in range(n)]),
                     "_time": ("time", All(now() if at is None else at))},
                 number, stream)


def info(root, kind):
    return [r for r in lines(command(root, "info", "t", "--json"))
            if r["kind"] == kind]


def segments(root):
    return sorted(f for f in os.listdir(root / "t") if f.endswith(".flow"))


def test_setting(root):
    """it is set, shown, and stays"""
    command(root, "create", "t")
    for words, text in (([], "none"), (["30d"], "30d"), ([], "30d"),
                        (["14d"], "2w"), (["36h"], "36h"), (["10G"], "10G"),
                        (["1536M"], "1536M"), (["30d", "10G"], "30d 10G"),
                        (["365d"], "1y"), (["90s", "1000"], "90s 1000"),
                        (["none"], "none"), ([], "none")):
        tap.equal(command(root, "retention", "t", *words),
                  (0, "t: %s\n" % text, ""), words)
        tap.equal(lines(command(root, "tables", "--json"))[0]["retention"],
                  text, "in tables")
    for word in ("0d", "30x", "", "1e3", "d", "9999999999999999y"):
        status, out, err = command(root, "retention", "t", word)
        assert status == 2 and "is no age" in err, (word, err)
    status, out, err = command(root, "retention", "u", "30d")
    assert status == 1 and "no table u" in err, err
    (root / "t" / ".retention").write_text("age x\n")
    status, out, err = command(root, "retention", "t")
    assert status == 1 and ".retention has a bad line" in err, err


def test_apply(root):
    """--apply: whole segments that are older go, also the newest"""
    for days in (50, 40, 20, 10):
        store(root, part(100, now() - days * DAY), "--segment-size", "1K")
    tap.equal(len(segments(root)), 4, "segments")
    command(root, "retention", "t", "30d")
    status, out, err = command(root, "retention", "--apply")
    assert (status, err) == (0, "") and \
        out.startswith("t: 2 segments removed, "), (out, err)
    tap.equal([r["_id"] for r in rows(root)], list(range(201, 401)), "_id")
    tap.equal(command(root, "retention", "t", "--apply"), (0, "", ""), "again")
    before = segments(root)
    command(root, "retention", "t", "9223372036854775807s")
    tap.equal(command(root, "retention", "t", "--apply"), (0, "", ""), "ever")
    tap.equal(segments(root), before, "segments")
    command(root, "retention", "t", "5d")
    status, out, err = command(root, "retention", "--apply", "t")
    assert status == 0 and "2 segments removed" in out, (out, err)
    tap.equal(rows(root), [], "rows")
    # ids and streams go on
    tap.equal(store(root, part(5)), (0, ""), "more")
    tap.equal([r["_id"] for r in rows(root)], list(range(401, 406)), "_id")


def test_out_of_order(root):
    """a segment with one young record stays"""
    store(root, part(10, now() - 50 * DAY) + part(1, now() - DAY),
          "--segment-size", "1K")
    store(root, part(10, now() - 50 * DAY), "--segment-size", "1K")
    store(root, part(10, now()), "--segment-size", "1K")
    command(root, "retention", "t", "30d")
    command(root, "retention", "--apply")
    tap.equal(segments(root), ["00000001.flow", "00000003.flow"], "segments")


def test_age(root):
    """the writer removes what is too old, and a reader loses nothing"""
    command(root, "create", "t")
    command(root, "retention", "t", "3s")
    s = Store(root, "-v")
    sent = []
    end = time.monotonic() + 9
    while time.monotonic() < end:
        s.write(part(1000))
        sent.append(time.monotonic())
        time.sleep(0.1)
        status, blocks, err = try_dump(root)
        assert status == 0, err
    got = rows(root)
    status, err = s.end()
    assert status == 0 and "removed" in err, err
    assert got[-1]["_id"] - got[0]["_id"] + 1 == len(got), "no gap"
    # an age, a segment that is not finished, one that is, two looks
    young = [t for t in sent if t > end - 3]
    assert len(got) >= 1000 * (len(young) - 8), (len(got), len(young))
    tap.comment("%d of %d batches are left" % (len(got) // 1000, len(sent)))
    assert len(got) < 1000 * len(sent) * 0.9, "nothing went"
    # without any input the rest goes as well
    s = Store(root)
    until(lambda: rows(root) == [])
    s.end()


def sizes(folder):
    """Bytes of each segment; one may go while others are looked at."""
    for path in folder.glob("*.flow"):
        try:
            yield path.stat().st_size
        except FileNotFoundError:
            pass


def test_size(root):
    """the files together stay below a size, and what is left is the newest"""
    command(root, "create", "t")
    command(root, "retention", "t", "4M")
    s = Store(root)
    most, n = 0, 0
    for i in range(120):
        s.write(part(16384))
        n += 16384
        time.sleep(0.02)
        most = max(most, sum(sizes(root / "t")))
        if i == 40:
            until(lambda: len(segments(root)) > 1)
    until(lambda: info(root, "table")[0]["bytes"] < 4 << 20)
    # a look a second, and what came in between
    tap.comment("%.1f M at most" % (most / 2**20))
    s.write(part(10))
    until(lambda: rows(root)[-1]["_id"] == n + 10)
    got = rows(root)
    tap.equal([r["_id"] for r in got[-10:]],
              list(range(n + 1, n + 11)), "the newest")
    assert len(got) * 8 > 1 << 20, "too much went: %d" % len(got)
    tap.equal(s.end()[0], 0, "end")


def test_live_part(root):
    """a month at a time sped up: files hold little more than live records"""
    month = float(os.environ.get("FLOW_TEST_MONTH", 0))
    if not month:
        raise tap.Skip("set FLOW_TEST_MONTH to a number of seconds, 480 or so")
    age = month / 4  # a week of it
    command(root, "create", "t")
    command(root, "retention", "t", "%ds" % age)
    s = Store(root)
    start, worst, sent = time.monotonic(), 0, []
    while time.monotonic() < start + month:
        s.write(part(4096))
        sent.append(time.monotonic())
        time.sleep(0.02)
        if len(sent) % 20 == 0 and time.monotonic() > start + age:
            live = sum(t > time.monotonic() - age for t in sent) * 4096
            size = sum(f.stat().st_size for f in (root / "t").glob("*.flow"))
            worst = max(worst, size / (live * 8))
    s.end()
    tap.comment("files are %.2f of live data at most" % worst)
    assert worst < 1.3, worst


def tmpfs(root, size):
    if os.geteuid() != 0:
        raise tap.Skip("needs root to mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "none",
                       str(root)], capture_output=True).returncode != 0:
        raise tap.Skip("no mount here")


def test_stop(root):
    """--min-free: input waits while there is too little room, then goes on"""
    tmpfs(root, "40m")
    try:
        s = Store(root, "-v", "--min-free", "30M")
        (root / "ballast").write_bytes(b"x" * (12 << 20))
        s.write(part(1000))
        os.set_blocking(s.p.stdin.fileno(), False)
        sent = 1000

        # a pipe that takes no more was not read
        tail = b""

        def fill():
            nonlocal sent, tail
            while True:
                if not tail:
                    tail = part(5000)
                    sent += 5000
                try:
                    tail = tail[os.write(s.p.stdin.fileno(), tail):]
                except BlockingIOError:
                    return
        fill()
        time.sleep(1)
        fill()
        held = sum(b.rows for b in try_dump(root)[1])
        assert held < sent, (held, sent)
        time.sleep(1)
        tap.equal(sum(b.rows for b in try_dump(root)[1]), held, "held back")
        (root / "ballast").unlink()
        os.set_blocking(s.p.stdin.fileno(), True)
        s.write(tail)
        status, err = s.end()
        tap.equal(status, 0, err)
        tap.equal(err.count("are held back until there is room"), 1, err)
        tap.equal(err.count("there is room again"), 1, err)
        tap.equal(len(rows(root)), sent, "nothing was lost")
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_remove_oldest(root):
    """--when-full remove-oldest: the newest records stay, and room"""
    tmpfs(root, "24m")
    try:
        s = Store(root, "-v", "--min-free", "25%", "--when-full",
                  "remove-oldest", "--segment-size", "1M")
        n = 0
        for i in range(400):
            s.write(part(10000))
            n += 10000
            v = os.statvfs(root)
            time.sleep(0.005)
            if v.f_bavail < v.f_blocks / 4:
                time.sleep(0.05)
        status, err = s.end()
        tap.equal(status, 0, err)
        assert "the disk is full" in err, err
        v = os.statvfs(root)
        tap.comment("%d %% free" % (100 * v.f_bavail / v.f_blocks))
        assert v.f_bavail > v.f_blocks * 0.15, v
        got = rows(root)
        tap.equal([r["_id"] for r in got],
                  list(range(n - len(got) + 1, n + 1)), "the newest")
        assert len(got) * 8 > 8 << 20, len(got)
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_options(root):
    """options that are no part, size or choice are refused"""
    for option, word in (("--min-free", "x"), ("--min-free", "100%"),
                         ("--min-free", "-1%"), ("--when-full", "panic"),
                         ("--segment-age", "0"), ("--segment-size", "1X")):
        status, err = store(root, b"", option, word)
        assert status == 2 and option in err, (option, word, err)


tap.main(globals())
