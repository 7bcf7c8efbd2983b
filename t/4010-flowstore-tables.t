#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# flowstore tables, info, create, drop.
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
from tables import (DUMP, STORE, Store, command, kinds, lines,  # noqa: E402
                    rows, store, until)

DAY = 86400 * 10**6
T0 = 1795000000000000


def part(n, number=1, at=T0, stream=77):
    return batch(n, {"x": ("u32", list(range(n))),
                     "addr": ("ipv4", [i * 7919 % 1000 for i in range(n)]),
                     "s": ("string", ["ab"[i % 2] for i in range(n)]),
                     "_time": ("time", [at + i for i in range(n)])},
                 number, stream)


def test_none(root):
    """no table at all"""
    tap.equal(command(root, "tables"),
              (0, "table  rows  bytes  first  last  retention\n",
               "flowstore: no tables in %s\n" % root), "tables")
    tap.equal(command(root, "tables", "--json"), (0, "", ""), "as JSON")
    status, out, err = command(root, "info", "t")
    assert status == 1 and "no table t in %s; there are none" % root in err


def test_tables(root):
    """tables: names, rows, bytes, times, retention"""
    store(root, part(1000), table="b")
    store(root, part(10, at=T0 + DAY), table="a\\c")
    (root / "lost+found").mkdir()
    (root / "file").write_text("")
    got = lines(command(root, "tables", "--json"))
    for row in got:
        size = sum(f.stat().st_size for f in root.rglob("*.flow")
                   if row["table"][0] == f.parent.name[0])
        tap.equal(row.pop("bytes"), size, "bytes")
    tap.equal(got, [
        {"table": "a\\c", "rows": 10, "retention": "none",
         "first": iso(T0 + DAY),
         "last": iso(T0 + DAY + 9)},
        {"table": "b", "rows": 1000, "retention": "none",
         "first": iso(T0), "last": iso(T0 + 999)}], "tables")
    status, out, err = command(root, "tables")
    assert (status, err) == (0, "") and "1,000" in out, (out, err)


def iso(us):
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(us // 10**6))
    us %= 10**6
    return text + (".%06d" % us).rstrip("0") * bool(us) + "Z"


def test_damaged(root):
    """tables: one that cannot be read is told, and the others are shown"""
    store(root, part(10), table="a")
    store(root, part(10), table="b")
    (root / "a" / "00000001.flow").write_bytes(b"x" * 9999)
    status, out, err = command(root, "tables", "--json")
    tap.equal(status, 1, "status")
    assert "table a, 00000001.flow" in err, err
    tap.equal([(r["table"], r["rows"]) for r in
               map(json.loads, out.splitlines())],
              [("a", None), ("b", 10)], "rows")


def test_info(root):
    """info: columns, types, encodings, bytes, blocks, segments, streams"""
    store(root, part(70000 % 65536 + 60000), "--segment-size", "100K")
    store(root, part(100, 2), "--segment-size", "100K")
    store(root, part(100, 7, stream=78), "--segment-size", "100K")
    store(root, batch(5, {"x": ("u64", All(9)), "_time": ("time", All(T0))},
                      number=0, stream=0))
    got = kinds(root)
    whole = got["table"][0]
    n = 70000 % 65536 + 60000 + 205
    tap.equal((whole["table"], whole["rows"], whole["writer"],
               whole["directory"]), ("t", n, None, str(root / "t")), "table")
    tap.equal(whole["bytes_row"], round(whole["bytes"] / n, 3), "bytes a row")
    tap.equal([(c["column"], c["type"], c["rows"], c["nulls"])
               for c in got["column"]],
              [("_id", "u64", n, 0), ("_time", "time", n, 0),
               ("addr", "ipv4", n - 5, 0), ("s", "string", n - 5, 0),
               ("x", "u32", n - 5, 0), ("x", "u64", 5, 0)], "columns")
    tap.equal(got["column"][3]["encodings"], "dictionary", "of s")
    tap.equal(got["column"][2]["encodings"], "packed", "of addr")
    assert len(got["segment"]) > 1, got["segment"]
    tap.equal(sum(s["rows"] for s in got["segment"]), n, "rows of segments")
    tap.equal(sum(s["blocks"] for s in got["segment"]), whole["blocks"],
              "blocks")
    tap.equal([(s["stream"], s["number"]) for s in got["stream"]],
              [("%016x" % 77, 2), ("%016x" % 78, 7)], "streams")
    assert "reader" not in got
    status, out, err = command(root, "info", "t")
    assert status == 0 and "writer     -" in out, (out, err)


def test_writer(root):
    """info names the writer, and a reader that holds pages, until it dies"""
    s = Store(root)
    until(lambda: (root / "t" / "00000001.flow").exists())
    s.write(part(1000))
    until(lambda: kinds(root)["table"][0]["rows"] == 1000)
    got = kinds(root)
    tap.equal(got["table"][0]["writer"], s.p.pid, "writer")
    # a reader that is stuck writing to a full pipe
    reader = subprocess.Popen([DUMP, str(root), "t"], stdout=subprocess.PIPE)
    try:
        s.write(b"".join(part(60000, k) for k in range(2, 5)))
        until(lambda: kinds(root)["table"][0]["rows"] == 181000)
        reader.kill()
        reader.wait()
        reader.stdout.close()
        reader = subprocess.Popen([DUMP, str(root), "t"],
                                  stdout=subprocess.PIPE)
        until(lambda: "reader" in kinds(root))
        s.write(part(10, 5))
        until(lambda: kinds(root)["reader"][0]["commits_behind"] > 0)
        tap.equal((kinds(root)["reader"][0]["reader"],
                   kinds(root)["reader"][0]["command"]),
                  (reader.pid, "tabledump"), "reader")
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()
    assert "reader" not in kinds(root), "a dead reader is forgotten"
    tap.equal(s.end(), (0, ""), "end")
    tap.equal(kinds(root)["table"][0]["writer"], None, "no writer")


def test_create(root):
    """create: an empty table, once"""
    tap.equal(command(root, "create", "a", "b/c"),
              (0, "table created: a\ntable created: b/c\n", ""), "create")
    tap.equal([t["table"] for t in lines(command(root, "tables", "--json"))],
              ["a", "b/c"], "tables")
    tap.equal(rows(root, "a"), [], "rows")
    tap.equal(command(root, "create", "a"),
              (1, "", "flowstore: there is a table a\n"), "again")
    tap.equal(command(root, "create", "drop")[0], 1, "a command")
    tap.equal(store(root, part(3), table="a"), (0, ""), "stored")
    tap.equal(len(rows(root, "a")), 3, "rows")


def test_modes(root):
    """modes are what they should be whatever the umask is"""
    for mask in (0, 0o077):
        at = root / ("u%d" % mask)
        subprocess.run([STORE, "--root", str(at), "t"], input=part(5),
                       check=True, preexec_fn=lambda: os.umask(mask))
        for path, mode in (("", 0o750), ("t", 0o750), ("t/.lock", 0o640),
                           ("t/00000001.flow", 0o640),
                           ("t/00000001.flow-lock", 0o660)):
            tap.equal((at / path).stat().st_mode & 0o777, mode, path)


def test_drop(root):
    """drop: asks, and removes the table and nothing else"""
    for name in "abcd":
        store(root, part(10), table=name)
    status, out, err = command(root, "drop", "a")
    assert status == 1 and "--yes" in err, err
    tap.equal(len(rows(root, "a")), 10, "not dropped")
    (root / "b" / "mine.txt").write_text("")
    status, out, err = command(root, "drop", "--yes", "b")
    assert status == 1 and "mine.txt" in err, err
    tap.equal(len(rows(root, "b")), 10, "not dropped")
    (root / "l").symlink_to(root / "c")
    status, out, err = command(root, "drop", "--yes", "l")
    assert status == 1 and "link" in err, err
    s = Store(root, table="c")
    until(lambda: kinds(root, "c")["table"][0]["writer"] == s.p.pid)
    # as it is given to kill(1)
    assert re.search(rf"writer +{s.p.pid}\n", command(root, "info", "c")[1])
    status, out, err = command(root, "drop", "-y", "c")
    assert "process %d" % s.p.pid in err, err
    s.kill()
    # what a killed one left
    (root / ".dropped.x.1").mkdir()
    (root / ".dropped.x.1" / "00000001.flow").write_text("")
    tap.equal(command(root, "drop", "-y", "a", "c"),
              (0, "table dropped: a\ntable dropped: c\n", ""), "drop")
    tap.equal(sorted(os.listdir(root)), ["b", "d", "l"], "what is left")
    status, out, err = command(root, "drop", "-y", "a")
    assert status == 1 and "no table a" in err and "b, d" in err, err


def test_drop_terminal(root):
    """drop on a terminal asks, and takes no for an answer"""
    import pty
    store(root, part(10))
    for answer, status in ((b"n\n", 1), (b"\n", 1), (b"y\n", 0)):
        main, side = pty.openpty()
        p = subprocess.Popen([STORE, "--root", str(root), "drop", "t"],
                             stdin=side, stdout=side, stderr=side)
        os.write(main, answer)
        tap.equal(p.wait(timeout=20), status, answer)
        seen = os.read(main, 4096)
        assert b"drop the table t with all its records? [y/N]" in seen, seen
        os.close(side)
        os.close(main)
        tap.equal((root / "t").exists(), status == 1, "there")


def test_links(root):
    """no file of a table is written through a link"""
    (root / "t").mkdir()
    target = root / "precious"
    target.write_text("precious")
    (root / "t" / ".lock").symlink_to(target)
    status, err = store(root, part(3))
    assert status == 1 and ".lock is a symbolic link" in err, err
    (root / "t" / ".lock").unlink()
    (root / "t" / "00000001.flow-lock").symlink_to(target)
    store(root, part(3))
    tap.equal(target.read_text(), "precious", "the file")


def test_usage(root):
    """what is wrong with a command line is said"""
    for args, why in ((["drop"], "drop what?"),
                      (["tables", "x"],
                       "'x' is too much: flowstore tables\n"),
                      (["infoo", "t"],
                       "'infoo' is no command (did you mean info?)\n"),
                      (["retention"], "retention of which table?"),
                      (["retention", "--apply", "a", "b"], "--apply goes"),
                      (["purge", "t", "20261301", "2027"],
                       "'20261301' is no day or time"),
                      (["info", "a", "b"], "'b' is too much"),
                      (["create", "--json", "x"], "create does not take"),
                      (["info", "--nope", "x"], "unknown option --nope")):
        status, out, err = command(root, *args)
        assert status == 2 and why in err, (args, err)
    status, out, err = command(root, "info", "--help")
    tap.equal((status, out), (0, "usage: flowstore [--root DIR] info [--json] "
                                 "TABLE\n"), "help")
    whole = command(root, "--help")[1].splitlines()
    for line in ("flowstore check [--backup] [--repair] TABLE|FILE ...",
                 "flowstore purge [--yes] TABLE FROM TO",
                 "flowstore retention [--apply] TABLE [AGE|SIZE|none]"):
        assert "       " + line in whole, whole


def test_other_user(root):
    """a table of another user: an error that names that user"""
    if os.geteuid() != 0:
        raise tap.Skip("needs root to be two users")
    root.chmod(0o755)
    store(root, part(10))

    def become():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    for path in (root, root / "t"):
        path.chmod(0o755)
    p = subprocess.run([STORE, "--root", str(root), "t"], input=part(5, 2),
                       capture_output=True, preexec_fn=become)
    err = p.stderr.decode()
    assert p.returncode == 1 and "belongs to user root" in err, err
    # and what root makes for another user is that user's
    os.chown(root, 65534, 65534)
    tap.equal(store(root, part(5), table="u"), (0, ""), "by root")
    for f in ["."] + os.listdir(root / "u"):
        tap.equal((root / "u" / f).stat().st_uid, 65534, f)
    p = subprocess.run([STORE, "--root", str(root), "u"], input=part(5, 2),
                       capture_output=True, preexec_fn=become)
    tap.equal((p.returncode, p.stderr), (0, b""), "by its owner")


def test_read_only(root):
    """a read-only file system: a clear error, and what is there is read"""
    if os.geteuid() != 0:
        raise tap.Skip("needs root to mount")
    store(root, part(10))
    if subprocess.run(["mount", "--bind", "-o", "ro", str(root), str(root)],
                      capture_output=True).returncode != 0:
        raise tap.Skip("no mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(root)],
                       check=True)
        for args in (["create", "u"], ["drop", "-y", "t"]):
            status, out, err = command(root, *args)
            assert status == 1 and "Read-only file system" in err, err
        status, err = store(root, part(10, 2))
        assert status == 1 and "Read-only file system" in err, err
        tap.equal(len(rows(root)), 10, "rows")
    finally:
        subprocess.run(["umount", str(root)], check=True)


tap.main(globals())
