#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Address filters: a search for an address opens only blocks that may hold it,
# and finds what it would find without them.
import ipaddress
import json
import os
import random
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import batch  # noqa: E402
from tables import command, rows, store  # noqa: E402

rnd = random.Random(31)
N = 2000  # rows of a batch, and addresses of it


def part(k, kind):
    """Addresses of batch k: random over a range that all batches share."""
    def addr():
        if kind == "ipv4":
            return rnd.getrandbits(32) if k % 3 else \
                0x0a000000 + rnd.getrandbits(20)
        if rnd.random() < 0.3:
            return bytes(10) + b"\xff\xff" + rnd.randbytes(4)
        return b"\x20\x01" + rnd.randbytes(14)
    cols = {"src_addr": (kind, [addr() for _ in range(N)]),
            "dst_addr": (kind, [None if rnd.random() < 0.1 else addr()
                                for _ in range(N)]),
            "k%d" % k: ("u8", [1] * N),
            "_time": ("time", [10**15 + k] * N)}
    return batch(N, cols, k + 1)


def text(a):
    if isinstance(a, int):
        return str(ipaddress.IPv4Address(a))
    if a[:12] == bytes(10) + b"\xff\xff":
        return str(ipaddress.IPv4Address(a[12:]))
    return str(ipaddress.IPv6Address(a))


def ask(root, where):
    p = subprocess.run(
        [tap.program("flowq"), "--root", str(root), "-q", "--format", "json",
         "table t | search %s | stats count, sum(_id) as s" % where],
        capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr
    row = json.loads(p.stdout)
    return row["count"], row["s"]


def pruned(root, where):
    p = subprocess.run(
        [tap.program("flowq"), "--root", str(root), "-q", "--format", "row",
         "explain table t | search %s" % where],
        capture_output=True, timeout=60)
    found = re.search(r"blocks: (\d+), .* (\d+) pruned", p.stdout.decode())
    assert p.returncode == 0 and found, (p.stdout, p.stderr)
    return int(found[1]), int(found[2])


def answers(got, where):
    """What a list of records has, without flowq."""
    hits = [r["_id"] for r in got if where(r)]
    return len(hits), sum(hits)


def ask_all(root, got, n=60):
    """Addresses that are there and that are not, in several ways."""
    most = 0
    for _ in range(n):
        r = rnd.choice(got)
        a = rnd.choice([r["src_addr"], r["dst_addr"] or r["src_addr"]])
        if rnd.random() < 0.4:
            a = rnd.getrandbits(32)
        t = text(a)
        for where, have in (
                ("src_addr == %s or dst_addr == %s" % (t, t),
                 lambda r: t in (r["_s"], r["_d"])),
                ("src_addr == %s" % t, lambda r: r["_s"] == t),
                ("dst_addr in (%s, 1.2.3.4)" % t,
                 lambda r: r["_d"] in (t, "1.2.3.4")),
                ("not src_addr == %s" % t, lambda r: r["_s"] != t)):
            count, s = answers(got, have)
            tap.equal(ask(root, where), (count, s if count else 0), where)
        all_blocks, gone = pruned(root, "src_addr == %s or dst_addr == %s" %
                                  (t, t))
        need = len({r["_time"] for r in got if t in (r["_s"], r["_d"])})
        most = max(most, all_blocks - gone - need)
    return all_blocks, most


def prepared(root):
    got = rows(root)
    for r in got:
        r["_s"] = text(r["src_addr"])
        r["_d"] = r["dst_addr"] is not None and text(r["dst_addr"])
    return got


def test_search(root):
    """a search opens the blocks that have the address, and few others"""
    store(root, b"".join(part(k, "ipv4") for k in range(15)) +
          b"".join(part(k, "ip") for k in range(15, 30)))
    got = prepared(root)
    blocks, most = ask_all(root, got, 15)
    tap.equal(blocks, 30, "blocks")
    tap.comment("%d of %d blocks too many at most" % (most, blocks))
    assert most <= 3, most


def test_purged(root):
    """after a purge blocks have filters as before"""
    store(root, b"".join(part(k, "ipv4") for k in range(12)))
    at = "2001-09-09T01:46:40.%06dZ"
    status, out, err = command(root, "purge", "t", at % 3, at % 5)
    assert (status, err) == (0, ""), err
    got = prepared(root)
    tap.equal(len(got), 9 * N, "rows")
    blocks, most = ask_all(root, got, 6)
    assert (blocks, most <= 2) == (9, True), (blocks, most)


def test_damaged(root):
    """damage to a filter is told by check, hides nothing, and is repaired"""
    store(root, b"".join(part(k, "ipv4") for k in range(6)))
    got = prepared(root)
    path = root / "t" / "00000001.flow"
    data = bytearray(path.read_bytes())
    # all bits of the filters of one block to 0, but for their head
    at = data.find(b"FSEV")
    assert at > 0
    for i in range(at + 40, at + 40 + 4000):
        data[i] = 0
    path.write_bytes(data)
    for r in got[::97]:
        t = r["_s"]
        hits = answers(got, lambda r: r["_s"] == t)
        tap.equal(ask(root, "src_addr == %s" % t), hits, t)
    status, out, err = command(root, "check", "t")
    assert status == 1 and "the filter of column" in err, err
    status, out, err = command(root, "check", "--repair", "t")
    assert status == 0 and "%d records kept, 0 lost" % len(got) in err, err
    tap.equal(command(root, "check", "t")[0], 0, "after it")
    blocks, most = ask_all(root, got, 5)
    assert most <= 2, most


def test_pieces(root):
    """open blocks have none yet, and are searched"""
    from tables import Store, until
    s = Store(root)
    s.write(part(1, "ipv4"))
    until(lambda: (root / "t" / "00000001.flow").exists() and
          len(rows(root)) == N)
    got = prepared(root)
    tap.equal(pruned(root, "src_addr == 8.8.8.8 or dst_addr == 8.8.8.8"),
              (1, 0), "a piece")
    t = got[5]["_s"]
    tap.equal(ask(root, "src_addr == %s" % t),
              answers(got, lambda r: r["_s"] == t), "an address")
    s.end()


tap.main(globals())
