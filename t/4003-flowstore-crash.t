#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Killed at any point, a table is an exact prefix of what was sent, at the last
# commit or later, sound by `flowstore check`, and the next writer goes on from
# there.  FLOW_TEST_KILLS says how often.
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
from tables import Store, command, rows, store, try_dump  # noqa: E402

ROUNDS = int(os.environ.get("FLOW_TEST_KILLS", "30"))
rnd = random.Random(11)
BATCHES = []


def make(i):
    """Batch i, of one of five shapes; record k of it says who it is."""
    n = 1 + i * 37 % 4000
    return batch(n, {"b": ("u32", All(i)), "k": ("u32", list(range(n))),
                     "shape_%d" % (i * 7 % 5): ("u16", All(1)),
                     "r": ("u64", [i * 2654435761 * (k + 1) % 2**64
                                   for k in range(n)]),
                     "_time": ("time", All(i))}, number=i), n


def check(root):
    """The batches stored must be 1 .. m, whole and in order: returns m."""
    status, blocks, err = try_dump(root)
    if status and "no table" in err:
        return 0
    assert status == 0, err
    status, out, err = command(root, "check", "t")
    assert status == 0 and "sound" in out and not err, (out, err)
    got = sorted(zip(*[sum((b.columns[c] for b in blocks), [])
                       for c in ("_id", "b", "k", "r")]))
    want, at, m = 0, 0, 0
    while at < len(got):
        m += 1
        n = BATCHES[m - 1][1]
        for k in range(n):
            _id, b, kk, r = got[at + k]
            assert (_id, b, kk) == (at + k + 1, m, k), (got[at + k], m, k)
            assert r == m * 2654435761 * (k + 1) % 2**64, got[at + k]
        at += n
    return m


def test_kill(root):
    """kill -9 at random points, the rest sent again"""
    while len(BATCHES) < 60:
        BATCHES.append(make(len(BATCHES) + 1))
    stored, rounds = 0, 0
    while rounds < ROUNDS:
        rounds += 1
        s = Store(root, "--segment-size", "2M")
        # from a while before what is stored: duplicates are passed over
        at = max(0, stored - rnd.randrange(3))
        end = time.monotonic() + rnd.random() * rnd.choice([0.02, 0.3, 1.5])
        try:
            last = min(len(BATCHES), at + 2 + len(BATCHES) // ROUNDS)
            while time.monotonic() < end and at < last:
                s.write(BATCHES[at][0])
                at += 1
                if rnd.random() < 0.2:
                    time.sleep(rnd.random() * 0.05)
        except BrokenPipeError:
            pass
        time.sleep(max(0, end - time.monotonic()))
        s.kill()
        now = check(root)
        assert now >= stored, (now, stored)
        stored = now
        if stored == len(BATCHES) and rounds < ROUNDS:
            tap.equal(command(root, "drop", "--yes", "t")[0], 0, "drop")
            stored = 0
    tap.comment("%d rounds, %d batches" % (rounds, stored))
    rest = b"".join(b for b, _ in BATCHES)
    tap.equal(store(root, rest), (0, ""), "the rest")
    tap.equal(check(root), len(BATCHES), "batches")


def test_while_beginning(root):
    """kill -9 while a table is made"""
    for i in range(25):
        s = Store(root, table="new%d" % i)
        time.sleep(i * 0.0004)
        s.kill()
        tap.equal(store(root, make(1)[0], table="new%d" % i), (0, ""),
                  "the next writer")
        tap.equal(len(rows(root, "new%d" % i)), make(1)[1], "rows")


tap.main(globals())
