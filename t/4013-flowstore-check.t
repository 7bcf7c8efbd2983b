#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# flowstore check, and check --repair: damage anywhere in a table is told with
# its place, nothing crashes, and what is whole is saved.
import os
import random
import re
import shutil
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
from tables import (Store, command, kinds, rows, store, try_dump,  # noqa: E402
                    until)

FLIPS = int(os.environ.get("FLOW_TEST_FLIPS", "45"))
rnd = random.Random(21)


def part(n, number=0, shape=0, stream=0):
    addr = [rnd.getrandbits(32) for _ in range(50)]
    way = [rnd.randrange(50) for _ in range(n)]
    return batch(n, {
        "x": ("u32", [rnd.getrandbits(20) for _ in range(n)]),
        "dst_addr": ("ipv4", [addr[k] for k in way]),
        "dst_as": ("u32", [addr[k] % 65521 for k in way]),
        "ip": ("ip", [rnd.randbytes(16) for _ in range(n)]),
        "s": ("string", [str(rnd.getrandbits(5)) for _ in range(n)]),
        "shape_%d" % shape: ("u8", All(1)),
        "_time": ("time", [10**15 + i for i in range(n)])}, number, stream)


def build(root, segments=3, n=6, size=3000):
    for k in range(segments):
        store(root, b"".join(part(rnd.randrange(1, size), i + 1 + k * n,
                                  i % 3, 9) for i in range(n)),
              "--segment-size", "1K")
    return rows(root)


def flip(path, at, bit=None):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << (rnd.randrange(8) if bit is None else bit)
    path.write_bytes(data)


def check(root, *args):
    status, out, err = command(root, "check", "t", *args)
    assert status in (0, 1), (status, out, err)
    return status, out, err


def test_sound(root):
    """a sound table, empty, small, large, of several segments, in writing"""
    command(root, "create", "t")
    tap.equal(check(root), (0, "t: 1 segments, 0 blocks, 0 records: sound\n",
                            ""), "empty")
    before = build(root)
    blocks = kinds(root)["table"][0]["blocks"]
    tap.equal(check(root), (0, "t: 3 segments, %d blocks, %d records: sound\n"
                            % (blocks, len(before)), ""), "several")
    tap.equal(check(root, "--repair")[0], 0, "nothing to repair")
    assert not list(root.rglob("*damaged"))
    s = Store(root)
    until(lambda: kinds(root)["table"][0]["writer"])
    for i in range(10):
        s.write(part(500))
        tap.equal(check(root)[::2], (0, ""), "in writing")
    tap.equal(check(root, "--repair")[::2], (0, ""), "in writing")
    s.end()
    status, out, err = command(root, "check", "u")
    assert status == 1 and "no table u" in err, err


def repaired(root, before):
    """After --repair: a sound table of whole records of BEFORE."""
    status, out, err = check(root, "--repair")
    tap.equal(status, 0, err)
    lost = sum(map(int, re.findall(r"kept, (?:at least )?(\d+) lost", err)))
    tap.equal(check(root)[::2], (0, ""), "after the repair")
    got = {r["_id"]: r for r in rows(root)}
    whole = {r["_id"]: r for r in before}
    partly = 0
    for _id, r in got.items():
        if r != whole[_id]:
            partly += 1
            tap.equal({**whole[_id], **r}, whole[_id], "fields")
            assert "_time" in r
    return len(got), lost, partly, err


def test_column(root):
    """one bit of a column: named, and only that column is lost"""
    before = build(root, 2, 1, 3000)
    path = root / "t" / "00000001.flow"
    shutil.copy(path, root / "whole")
    for i in range(400):
        shutil.copy(root / "whole", path)
        flip(path, rnd.randrange(16384, path.stat().st_size))
        status, out, err = check(root)
        if "column ip" in err:
            break
    tap.equal((status, out), (1, "t: 1 of 2 segments damaged, 0 repaired\n"),
              "check")
    tap.equal(err, "flowstore: table t, 00000001.flow, block %d: column ip "
              "does not match its checksum\n" % before[0]["_id"], "place")
    count, lost, partly, err = repaired(root, before)
    tap.equal((count, lost), (len(before), 0), "all are there")
    tap.equal(partly, sum("ip" not in r for r in rows(root)), "without ip")
    assert 0 < partly < len(before), partly
    assert (root / "t" / "00000001.flow-damaged").exists()


def test_reference(root):
    """a column that others are read through"""
    before = build(root, 1, 1, 3000)
    path = root / "t" / "00000001.flow"
    shutil.copy(path, root / "whole")
    seen = set()
    for i in range(400):
        shutil.copy(root / "whole", path)
        flip(path, rnd.randrange(16384, path.stat().st_size))
        status, out, err = check(root)
        names = tuple(re.findall(r"column (\w+)", err))
        seen.add(names)
        if {"dst_addr", "dst_as"} <= set(names):
            break
    else:
        raise AssertionError("dst_as is not read through dst_addr: %s" % seen)
    count, lost, partly, err = repaired(root, before)
    tap.equal((count, lost, partly), (len(before), 0, len(before)), "records")
    assert "dst_as" not in rows(root)[0] and "x" in rows(root)[0]


def test_flips(root):
    """bits flipped anywhere: told with the place or of no meaning, repaired"""
    before = build(root / "whole", 2, 8, 1500)
    told = saved = 0
    for i in range(FLIPS):
        shutil.rmtree(root / "r", ignore_errors=True)
        shutil.copytree(root / "whole", root / "r")
        path = root / "r" / "t" / ("0000000%d.flow" % (1 + i % 2))
        size = path.stat().st_size
        for _ in range(rnd.choice([1, 1, 5, 40])):
            at = rnd.randrange(size)
            if i % 3 == 0:
                at = at // 4096 * 4096 + rnd.randrange(80)
            elif i % 3 == 1:
                at = rnd.randrange(min(size, 16384))
            flip(path, at)
        status, out, err = check(root / "r")
        if status:
            told += 1
            assert path.name in err, err
        else:
            tap.equal(err, "", "a sound one")
        count, lost, partly, err = repaired(root / "r", before)
        saved += count
        # and it can be written again
        tap.equal(store(root / "r", part(3)), (0, ""), "writing")
        got = rows(root / "r")
        assert got[-1]["_id"] > before[-1]["_id"] or count < len(before), got
        assert len({r["_id"] for r in got}) == len(got) == count + 3
    tap.comment("%d of %d were told, %d %% of records saved" % (
        told, FLIPS, 100 * saved / FLIPS / len(before)))
    assert told > FLIPS / 4 and saved > FLIPS * len(before) * 0.5


def test_cuts(root):
    """files cut short, emptied, filled with nothing or replaced by a FIFO"""
    before = build(root / "whole", 3, 4, 1500)
    for i in range(FLIPS // 3 + 8):
        shutil.rmtree(root / "r", ignore_errors=True)
        shutil.copytree(root / "whole", root / "r")
        path = root / "r" / "t" / ("0000000%d.flow" % (1 + i % 3))
        data = path.read_bytes()
        n = [0, 1, 100, 4096, 5000, 8192, 12288, len(data) - 1][i] if i < 8 \
            else rnd.randrange(len(data))
        if i == 9:
            path.unlink()
            os.mkfifo(path)
        elif i == 10:
            path.write_bytes(b"\0" * len(data))
        elif i == 11:
            path.write_bytes(rnd.randbytes(len(data)))
        else:
            path.write_bytes(data[:n])
        status, out, err = check(root / "r")
        if status == 0:  # what was cut was of no use
            continue
        assert path.name in err, err
        count, lost, partly, err = repaired(root / "r", before)
        tap.equal(store(root / "r", part(3)), (0, ""), "writing")
        got = rows(root / "r")
        assert len({r["_id"] for r in got}) == len(got) == count + 3
        # of the segments that were not touched everything is there
        assert count > len(before) // 3, (count, len(before), err)


def test_heads(root):
    """heads of the file: the one before is taken, the last commit is lost"""
    s = Store(root)
    until(lambda: (root / "t" / "00000001.flow").exists())
    s.write(part(1000, 1, 0, 9))
    until(lambda: try_dump(root)[1])
    s.write(part(50, 2, 1, 9))
    until(lambda: len(rows(root)) == 1050)
    s.kill()
    before = rows(root)
    path = root / "t" / "00000001.flow"
    txn = [struct.unpack_from("<Q", path.read_bytes(), p * 4096 + 16 + 128)[0]
           for p in (0, 1)]
    newest = txn[1] > txn[0]
    flip(path, newest * 4096 + 16)
    status, out, err = check(root)
    assert status == 1 and "00000001.flow: one of its two heads is damaged" \
        in err or "page %d is damaged" % newest in err, err
    count, lost, partly, err = repaired(root, before)
    tap.comment("%d of %d" % (count, len(before)))
    assert count >= 1000, count
    # what was lost may be sent again
    store(root, part(50, 2, 1, 9))
    assert len(rows(root)) in (1050, 1100)


def test_newest_in_writing(root):
    """a writer's segment is not repaired under it"""
    build(root, 2, 2)
    s = Store(root)
    until(lambda: kinds(root)["table"][0]["writer"])
    flip(root / "t" / "00000001.flow", 20000)
    flip(root / "t" / "00000002.flow", 20000)
    status, out, err = check(root, "--repair")
    if "00000002.flow" in err:
        assert status == 1 and "process %d) writes" % s.p.pid in err, err
    assert not (root / "t" / "00000002.flow-damaged").exists()
    s.kill()
    tap.equal(check(root, "--repair")[0], 0, "later")
    tap.equal(check(root)[0], 0, "sound")


tap.main(globals())
