#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# flowstore alive: how fresh a table is, who may write, new files.
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
from tables import Store, rows, stats, store, try_dump  # noqa: E402

SANITIZED = float(os.environ.get("FLOW_TEST_SLOW", "1"))


def part(n, number, stream=77, value=None):
    return batch(n, {"x": ("u32", list(range(n)) if value is None
                           else All(value)),
                     "_time": ("time", All(5))}, number, stream)


def until(root, want, seconds):
    """Waits for so many rows; how long it took."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        status, blocks, _ = try_dump(root)
        if status == 0 and sum(b.rows for b in blocks) >= want:
            return time.monotonic() - start
        time.sleep(0.01)
    raise AssertionError("%d rows did not come in %g s" % (want, seconds))


def test_fresh(root):
    """a record can be read a second after it was written"""
    s = Store(root)
    until(root, 0, 5)
    for i in range(5):
        s.write(part(1, i + 1))
        took = until(root, i + 1, 10)
        tap.comment("fresh after %.2f s" % took)
        assert took < 1.0 or i == 0 or SANITIZED > 1, took
    tap.equal(s.end(), (0, ""), "end")


def test_pieces(root):
    """a trickle makes few blocks"""
    s = Store(root, "-v")
    until(root, 0, 5)
    for i in range(12):
        s.write(part(3, i + 1, value=i))
        until(root, 3 * (i + 1), 10)
        got = rows(root)
        tap.equal([r["x"] for r in got], [k for k in range(i + 1)
                                          for _ in range(3)], "rows")
        blocks = len({b["first_id"] for b in stats(root)})
        assert blocks <= 4, blocks
    status, err = s.end()
    assert status == 0 and "12 pieces" in err, err
    tap.equal(len({b["first_id"] for b in stats(root)}), 1, "blocks")


def test_second_writer(root):
    """a second writer is refused and told who holds the table"""
    s = Store(root)
    until(root, 0, 5)
    status, err = store(root, part(1, 1))
    tap.equal((status, err), (1, "flowstore: another flowstore (process %d) "
                              "writes to %s/t\n" % (s.p.pid, root)), "second")
    tap.equal(store(root, part(1, 1), table="u"), (0, ""), "another table")
    s.write(part(2, 1))
    tap.equal(s.end(), (0, ""), "the first goes on")
    tap.equal(len(rows(root)), 2, "rows")


def test_duplicates(root):
    """a batch that comes again is counted and not stored"""
    data = [part(10, i) for i in range(1, 6)]
    status, err = store(root, data[0] + data[1] + data[0] + data[1] + data[2],
                        "-v")
    assert "stored 30, duplicates 20, dropped 0" in err, err
    status, err = store(root, b"".join(data), "-v")
    assert "stored 20, duplicates 30, dropped 0" in err, err
    status, err = store(root, part(7, 1, stream=78), "-v")
    assert "stored 7, duplicates 0" in err, err
    status, err = store(root, part(7, 0, stream=0) * 2, "-v")
    assert "stored 14, duplicates 0" in err, err
    tap.equal(len(rows(root)), 71, "rows")


def test_empty_numbers(root):
    """a batch of no records moves its stream's number"""
    store(root, part(0, 5))
    status, err = store(root, part(3, 5) + part(3, 6), "-v")
    assert "stored 3, duplicates 3" in err, err


def test_terminate(root):
    """SIGTERM ends it within seconds, and everything is there"""
    s = Store(root)
    s.write(part(1, 1))
    until(root, 1, 10)
    s.write(part(99, 2))
    s.p.send_signal(signal.SIGTERM)
    tap.equal(s.p.wait(timeout=10), 0, "status")
    s.end()
    tap.equal(len(rows(root)), 100, "rows")


def test_interrupt(root):
    """SIGINT is left to the source"""
    s = Store(root)
    s.write(part(1, 1))
    until(root, 1, 10)
    s.p.send_signal(signal.SIGINT)
    time.sleep(0.3)
    s.write(part(100, 2))
    tap.equal(s.end(), (0, ""), "end")
    tap.equal(len(rows(root)), 101, "rows")


def wide(n, number):
    rnd = random.Random(number)
    return batch(n, {"x": ("u64", [rnd.getrandbits(64) for _ in range(n)]),
                     "n": ("u32", All(number))}, number)


def test_segments(root):
    """new files at a size, with ids and numbers that go on"""
    s = Store(root, "--segment-size", "1M")
    for i in range(40):
        s.write(wide(8192, i + 1))
        time.sleep(0.02)
        if i % 8 == 0:
            status, blocks, err = try_dump(root)
            assert status == 0 or "no table" in err, err
    tap.equal(s.end(), (0, ""), "end")
    files = sorted(f for f in os.listdir(root / "t") if f.endswith(".flow"))
    assert len(files) > 1, files
    tap.equal(files[0], "00000001.flow", "the first")
    got = rows(root)
    tap.equal([r["_id"] for r in got], list(range(1, 40 * 8192 + 1)), "_id")
    tap.equal([r["n"] for r in got[::8192]], list(range(1, 41)), "order")
    status, err = store(root, wide(10, 40) + wide(10, 41), "-v")
    assert "stored 10, duplicates 10" in err, err
    tap.equal(len(rows(root)), 40 * 8192 + 10, "rows")


def test_age(root):
    """and at an age"""
    s = Store(root, "--segment-age", "1s")
    for i in range(3):
        s.write(wide(10, i + 1))
        time.sleep(1.3)
    tap.equal(s.end(), (0, ""), "end")
    assert (root / "t" / "00000002.flow").exists()
    tap.equal(len(rows(root)), 30, "rows")


def test_files(root):
    """modes, and names of tables as directories"""
    for name, path in (("t", "t"), ("local\\netflow-logger",
                                    "local%5Cnetflow-logger"),
                       ("../up", "%2E.%2Fup"), (".", "%2E"),
                       ("a b/ä", "a%20b%2F%C3%A4")):
        tap.equal(store(root, part(1, 1), table=name), (0, ""), name)
        at = root / path
        modes = {f: (at / f).stat().st_mode & 0o777 for f in os.listdir(at)}
        tap.equal(modes, {".lock": 0o640, "00000001.flow": 0o640,
                          "00000001.flow-lock": 0o660}, "modes")
        tap.equal(at.stat().st_mode & 0o777, 0o750, "mode of the directory")
        tap.equal(len(rows(root, name)), 1, "rows")


def test_names(root):
    """names that are refused, and commands that are no names"""
    for name, why in (("", "a table's name is empty"),
                      ("x" * 81, "a table's name has 81 bytes (80 may be)"),
                      ("a\nb", "a table's name has a control byte")):
        tap.equal(store(root, table=name), (1, "flowstore: %s\n" % why), name)
    status, err = store(root, b"", "-v", table="drop")
    assert status == 2 and "'drop' is a command" in err, err
    status, err = store(root, b"", "--segment-size", "0")
    assert status == 2 and "--segment-size" in err, err
    tap.equal(os.listdir(root), [], "what was made")


def test_missing(root):
    """a missing table is an error that names those there are"""
    err = try_dump(root)[2]
    assert "no table t in %s; there are none" % root in err, err
    store(root, table="b")
    store(root, table="a\\c")
    err = try_dump(root)[2]
    assert "no table t in %s; there are: a\\c, b" % root in err, err


def test_not_allowed(root):
    """a directory that cannot be written"""
    if os.geteuid() == 0:
        (root / "t").write_text("a file")
        status, err = store(root)
        assert status == 1 and str(root / "t") in err, err
        return
    root.chmod(0o555)
    status, err = store(root)
    root.chmod(0o755)
    assert status == 1 and "Permission denied" in err, err


tap.main(globals())
