#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# flowstore backup and restore: hot, exact, and never half.
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
from tables import (STORE, Store, command, dump, kinds, rows,  # noqa: E402
                    store, until)

rnd = random.Random(5)


def part(n, number=0, stream=0):
    return batch(n, {
        "_time": ("time", [10**15 + i for i in range(n)]),
        "src_addr": ("ipv4", [rnd.getrandbits(32) for _ in range(n)]),
        "shape_%d" % (number % 3): ("u16", All(number)),
        "x": ("u64", [rnd.getrandbits(64) for _ in range(n)])}, number, stream)


def blocks(root, table):
    """What is stored, in its order."""
    return [(b.rows, b.types, b.columns) for b in dump(root, table)]


def hidden(root):
    return [f.name for f in root.iterdir() if f.name.startswith(".")]


def test_round(root):
    """a table comes back block for block, with its ids, streams and segments"""
    for i in range(3):
        store(root, part(1000, i + 1, 77), "--segment-size", "1K")
    store(root, part(70000 // 2, 4, 77) + part(300, 5, 77))
    file = root / "t.flowbak"
    tap.equal(command(root, "backup", "t", str(file)),
              (0, "t: 38300 records backed up\n", ""), "backup")
    assert file.stat().st_mode & 0o027 == 0, "mode"
    tap.equal(command(root, "restore", "u", str(file)),
              (0, "u: 38300 records restored\n", ""), "restore")
    tap.equal(blocks(root, "u"), blocks(root, "t"), "blocks")
    a, b = kinds(root, "t"), kinds(root, "u")
    for s in a["segment"] + b["segment"]:
        del s["bytes"]
    tap.equal(b["segment"], a["segment"], "segments")
    assert os.stat(root / "u" / "00000001.flow-lock").st_mode & 0o777 == 0o660
    tap.equal(command(root, "check", "u")[0], 0, "check")
    # what it had is passed over, what is new is appended
    tap.equal(store(root, part(300, 5, 77) + part(7, 6, 77), table="u")[0], 0,
              "more")
    tap.equal([r["_id"] for r in rows(root, "u")], list(range(1, 38308)),
              "_id")
    tap.equal(command(root, "check", "u")[0], 0, "check")
    tap.equal(hidden(root), [], "leftovers")


def test_pipe(root):
    """through a pipe, and of a table without records"""
    store(root, part(5000))
    command(root, "create", "none")
    for name, n in (("t", 5000), ("none", 0)):
        p = subprocess.run("%s --root %s backup %s | gzip -1 | gzip -dc | "
                           "%s --root %s restore %s.2" % (
                               STORE, root, name, STORE, root, name),
                           shell=True, capture_output=True)
        tap.equal((p.returncode, p.stdout, p.stderr),
                  (0, b"%s.2: %d records restored\n" % (name.encode(), n),
                   b""), name)
        tap.equal(blocks(root, name + ".2"), blocks(root, name), "blocks")
        tap.equal(store(root, part(10), table=name + ".2"), (0, ""), "more")
        tap.equal(len(rows(root, name + ".2")), n + 10, "rows")


def test_refused(root):
    """no table and no file is replaced unasked"""
    store(root, part(10))
    file = root / "f"
    command(root, "backup", "t", str(file))
    good = file.read_bytes()
    status, out, err = command(root, "restore", "t", str(file))
    assert status == 1 and "there is a table t" in err, err
    status, out, err = command(root, "backup", "t", str(file))
    assert status == 1 and "is there already" in err, err
    store(root, part(10))
    tap.equal(command(root, "backup", "t", str(file), "--yes")[0], 0, "yes")
    assert file.read_bytes() != good
    for words, why in ((("backup", "u"), "no table u"),
                       (("restore", "u", str(root / "absent")), "absent"),
                       (("restore", "u", str(root)), "is a directory"),
                       (("restore", "drop", str(file)), "is a command"),
                       (("backup", "t", str(root)), "cannot open")):
        status, out, err = command(root, *words)
        assert status == 1 and why in err, (words, err)
    # a name is a name: nothing is written outside of the root
    inner = root / "a" / "b"
    tap.equal(command(inner, "restore", "../../x", str(file))[0], 0, "dots")
    tap.equal(sorted(f.name for f in (root / "a").iterdir()), ["b"], "above")
    tap.equal(len(rows(inner, "../../x")), 20, "rows")


def test_load(root):
    """under load: an exact prefix, and the writer goes on meanwhile"""
    s = Store(root, "--segment-size", "256K")
    sent, stop = [], threading.Event()

    def feed():
        while not stop.is_set():
            n = rnd.randrange(1, 1000)
            s.write(part(n, len(sent) + 1, 9))
            sent.append(n)
            time.sleep(0.01)
    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        until(lambda: (root / "t" / "00000002.flow").exists())
        for i in range(5):
            tap.equal(command(root, "backup", "t", str(root / str(i)))[0], 0,
                      "backup")
            n = kinds(root)["table"][0]["rows"]
            until(lambda: kinds(root)["table"][0]["rows"] > n)
    finally:
        stop.set()
        feeder.join()
    tap.equal(s.end()[0], 0, "end")
    want = rows(root)
    tap.equal(len(want), sum(sent), "all were stored")
    ends = [0]
    for n in sent:
        ends.append(ends[-1] + n)
    sizes = []
    for i in range(5):
        name = "r%d" % i
        tap.equal(command(root, "restore", name, str(root / str(i)))[0], 0,
                  "restore")
        got = rows(root, name)
        assert got == want[:len(got)], "an exact prefix"
        assert len(got) in ends, "whole batches"
        sizes.append(len(got))
    assert sizes == sorted(sizes) and 0 < sizes[0] < sizes[-1], sizes
    tap.comment("%s of %d rows" % (sizes, len(want)))


def test_slow_reader(root):
    """a backup that nobody reads does not hold the writer up"""
    store(root, part(40000) * 4)
    p = subprocess.Popen([STORE, "--root", str(root), "backup", "t"],
                         stdout=subprocess.PIPE)
    p.stdout.read(1)
    tap.equal(store(root, part(1000) * 30), (0, ""), "the writer")
    data = p.stdout.read()
    tap.equal(p.wait(), 0, "backup")
    # its first byte was read before
    p = subprocess.run([STORE, "--root", str(root), "restore", "u"],
                       input=b"\xcf" + data, capture_output=True)
    tap.equal(p.stdout, b"u: 160000 records restored\n", p.stderr)
    tap.equal(rows(root, "u"), rows(root)[:160000], "as it was at its begin")


def attempt(root, data):
    """Restores what is no good: says what was said."""
    p = subprocess.run([STORE, "--root", str(root), "restore", "bad"],
                       input=data, capture_output=True, timeout=60)
    err = p.stderr.decode("utf-8", "replace")
    assert p.returncode == 1 and p.stdout == b"", (p.returncode, err)
    assert not (root / "bad").exists() and hidden(root) == [], hidden(root)
    return err


def test_damaged(root):
    """cut, flipped, longer or mixed: told, and no table comes of it"""
    for i in range(3):
        store(root, part(300, i + 1, 7), "--segment-size", "1K")
    file = root / "f"
    command(root, "backup", "t", str(file))
    data = file.read_bytes()
    for cut in [0, 1, 9, 10, len(data) - 1] + [
            rnd.randrange(len(data)) for _ in range(25)]:
        err = attempt(root, data[:cut])
        assert "is cut" in err or "no backup" in err, (cut, err)
    for _ in range(60):
        bad = bytearray(data)
        bad[rnd.randrange(len(bad))] ^= 1 << rnd.randrange(8)
        err = attempt(root, bytes(bad))
        assert "damaged" in err or "is cut" in err, err
    assert "comes behind its end" in attempt(root, data + b"\0")
    assert "comes behind its end" in attempt(root, data + data)
    for text in (b"hello, world\n", b"\xc1", b"\x93\x01\x02\x03", b"\x80" * 9,
                 b"\xdd\xff\xff\xff\xff", rnd.randbytes(5000)):
        attempt(root, text)
    file.write_bytes(data[:len(data) // 2])
    status, out, err = command(root, "check", "--backup", str(file))
    assert status == 1 and "is cut" in err and out == "", (out, err)
    file.write_bytes(data)
    tap.equal(command(root, "check", "--backup", str(file)),
              (0, "%s: 3 blocks, 900 records: sound\n" % file, ""), "check")


def test_damaged_table(root):
    """a damaged table is told, and no backup comes of it"""
    store(root, part(20000))
    flow = root / "t" / "00000001.flow"
    data = bytearray(flow.read_bytes())
    for i in range(len(data) // 2, len(data), 50):
        data[i] ^= 1
    flow.write_bytes(data)
    status, out, err = command(root, "backup", "t", str(root / "f"))
    assert status == 1 and "00000001.flow" in err, err
    tap.equal(list(root.glob("f*")), [], "files")


def test_killed(root):
    """of a restore that is killed nothing is left after the next one"""
    store(root, part(40000) * 4)
    file = root / "f"
    command(root, "backup", "t", str(file))
    p = subprocess.Popen([STORE, "--root", str(root), "restore", "u"],
                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    p.stdin.write(file.read_bytes()[:2 << 20])
    p.stdin.flush()
    until(lambda: list(root.glob(".restoring.u/*.flow")))
    status, out, err = command(root, "restore", "u", str(file))
    assert status == 1 and "process %d" % p.pid in err, err
    p.kill()
    p.wait()
    assert "u" not in command(root, "tables")[1].split(), "no table yet"
    tap.equal(command(root, "restore", "u", str(file))[0], 0, "again")
    tap.equal(blocks(root, "u"), blocks(root, "t"), "blocks")
    tap.equal(hidden(root), [], "leftovers")


tap.main(globals())
