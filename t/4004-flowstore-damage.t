#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Streams and tables that are damaged: an error that names the place, never a
# crash, and what is whole stays.
import os
import random
import resource
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
from tables import STORE, rows, store, try_dump  # noqa: E402

FLIPS = int(os.environ.get("FLOW_TEST_FLIPS", "300"))
rnd = random.Random(5)


def part(n, number):
    return batch(n, {"x": ("u32", [rnd.getrandbits(20) for _ in range(n)]),
                     "addr": ("ip", [rnd.randbytes(16) for _ in range(n)]),
                     "s": ("string", [str(rnd.getrandbits(5))
                                      for _ in range(n)]),
                     "n": ("u32", All(number))}, number)


def test_stream(root):
    """a cut or corrupt stream: flowstore and offset, and the rest is kept"""
    one, two = part(100, 1), part(50, 2)
    for i, (tail, why) in enumerate((
            (two[:-7], "cut"), (b"\xc1", "garbage"), (b"\x93\x01", "short"),
            (two[:40] + b"\xff" * 40, "spoilt"), (b"\x05", "a number"))):
        status, err = store(root, one + tail, table="t%d" % i)
        tap.equal(status, 1, why)
        assert err.startswith("flowstore: ") and "offset" in err, err
        assert str(len(one)) in err or why == "spoilt", (err, len(one))
        tap.equal(len(rows(root, "t%d" % i)), 100, "kept")


def build(root):
    data = b"".join(part(rnd.randrange(1, 3000), i + 1) for i in range(20))
    store(root, data)
    store(root, part(10, 21))
    got = rows(root)
    return root / "t" / "00000001.flow", got


def crashed(status):
    return status < 0 or status > 2


def test_flips(root):
    """bits flipped anywhere in a segment"""
    path, want = build(root)
    whole = path.read_bytes()
    errors = 0
    for i in range(FLIPS):
        spoilt = bytearray(whole)
        # heads of pages are few, so look at them more
        at = rnd.randrange(len(whole))
        if i % 3 == 0:
            at = at // 4096 * 4096 + rnd.randrange(80)
        elif i % 3 == 1:
            at = rnd.randrange(8192 if i % 2 else len(whole))
        spoilt[at] ^= 1 << rnd.randrange(8)
        path.write_bytes(spoilt)
        status, blocks, err = try_dump(root)
        assert not crashed(status), (at, status, err)
        if status:
            errors += 1
            assert "table t, 00000001.flow" in err, (at, err)
        else:
            got = sorted((r for b in blocks for r in b.records()),
                         key=lambda r: r["_id"])
            # the page may be free, or an older head of the file
            assert got == want or len(got) < len(want) and got == \
                want[:len(got)], at
        if i % 10 == 0:
            status, err = store(root, part(1, 30))
            assert not crashed(status), (at, status, err)
    path.write_bytes(whole)
    tap.comment("%d of %d flips were told" % (errors, FLIPS))
    assert errors > FLIPS / 4, errors
    assert rows(root) == want, "rows of the whole file"


def test_cuts(root):
    """a segment cut short"""
    path, want = build(root)
    whole = path.read_bytes()
    for n in [0, 1, 100, 4096, 5000, 8192, 12288] + \
            [rnd.randrange(len(whole)) for _ in range(30)]:
        path.write_bytes(whole[:n])
        status, _, err = try_dump(root)
        assert not crashed(status), (n, status, err)
        assert status == 0 or "00000001.flow" in err, err
        status, err = store(root, part(1, 30))
        assert not crashed(status), (n, status, err)


def test_other_files(root):
    """files that are no segments"""
    build(root)
    for name in ("x.flow", "1.flow", "00000001.flow.bak", "00000000.flow"):
        (root / "t" / name).write_text("nothing")
    tap.equal(try_dump(root)[0], 0, "names that are none")
    (root / "t" / "00000002.flow").write_text("nothing")
    status, _, err = try_dump(root)
    assert status == 1 and "00000002.flow" in err, err
    status, err = store(root, part(1, 30))
    assert status == 1 and "00000002.flow" in err, err
    shutil.copy(root / "t" / "00000001.flow", root / "t" / "00000003.flow")
    (root / "t" / "00000002.flow").unlink()
    tap.equal(try_dump(root)[0], 0, "a gap in the numbers")


def test_fifo(root):
    """a FIFO in the place of a segment is an error, not a wait"""
    build(root)
    os.mkfifo(root / "t" / "00000002.flow")
    status, _, err = try_dump(root)
    assert status == 1 and "00000002.flow: it is no file" in err, err
    status, err = store(root, part(1, 30), timeout=20)
    assert status == 1 and "00000002.flow: it is no file" in err, err


tap.main(globals())
