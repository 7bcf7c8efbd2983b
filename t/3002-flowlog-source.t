#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# --source-id, and the counters.
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

rnd = random.Random(2)


def constant():
    b = [batch(3, {"source_id": ("u32", All(i)), "x": ("u8", [1, 2, i])},
               number=i) for i in (71, 106, 5)]
    status, out, err = run(["flowlog", "--source-id", "71,106", "-v"],
                           b"".join(b))
    ok(out.startswith(b[0] + b[1]), "batches of listed ids pass untouched")
    last = batches(out[len(b[0] + b[1]):])
    is_([(x.stream, x.number, x.rows) for x in last], [(77, 5, 0)],
        "another passes as an empty batch with its number")
    is_((status, err), (0, "flowlog: records: in 9, filtered 3, dropped 0, out 6 "
                           "(in 3 batches)\n"), "-v counts")
    again = run(["flowlog", "--source-id", "71"], out)
    is_([(x.number, x.rows) for x in batches(again[1])],
        [(71, 3), (106, 0), (5, 0)], "empty batches go through again")


def select():
    for kind in ("u8", "u16", "u32", "u64", "i64"):
        rows = 1000
        ids = [rnd.choice((0, 71, 106, 200, None)) for _ in range(rows)]
        cols = {
            "source_id": (kind, ids),
            "n": ("u32", list(range(rows))),
            "s": ("string", ["v%d" % i * (i % 3) for i in range(rows)]),
            "b": ("bytes", [None if i % 5 == 0 else b"%d" % i
                            for i in range(rows)]),
            "ip": ("ip", [i.to_bytes(16, "big") for i in range(rows)]),
            "t": ("time", [None if i % 2 else i for i in range(rows)]),
            "c": ("string", All("same")),
            "z": ("mac", All(None)),
        }
        b = batch(rows, cols, number=9)
        status, out, err = run(["flowlog", "--source-id", "106,71"], b)
        want = [r for r in batches(b)[0].records()
                if r["source_id"] in (71, 106)]
        got = batches(out)
        is_((status, err, len(got), got[0].number, got[0].stream),
            (0, "", 1, 9, 77), "rows of a column of type %s" % kind)
        ok(got[0].records() == want and 0 < len(want) < rows,
           "are the ones listed, in order", got[0].records()[:3])
        ok(got[0].types == batches(b)[0].types, "and keep their types")


def edges():
    def left(columns, ids, rows=2):
        out = run(["flowlog", "--source-id", ids, "--format", "csv",
                   "--fields", "x"], batch(rows, columns))[1]
        return out.decode().split()[1:]

    x = ("u8", [1, 2])
    is_(left({"x": x}, "0"), [], "no source_id: filtered")
    is_(left({"x": x, "source_id": ("u32", All(None))}, "0"), [],
        "a null source_id: filtered, though the value under it is 0")
    is_(left({"x": x, "source_id": ("string", ["71", "0"])}, "71,0"), [],
        "a source_id that is no number: filtered")
    is_(left({"x": x, "source_id": ("i64", [-1, 5])},
             "18446744073709551615,5"), ["2"], "-1 is not 2^64-1")
    is_(left({"x": x, "source_id": ("u64", [2**64 - 1, 5])},
             "18446744073709551615"), ["1"], "2^64-1 is")
    is_(left({"x": x, "source_id": ("u32", [3, 5])}, ""), ["1", "2"],
        "an empty list lets all through")
    is_(left({"x": x, "source_id": ("u32", [3, 5])}, ",5,,"), ["2"],
        "empty elements are dropped")
    many = ",".join(str(i) for i in range(500, 3, -1))
    is_(left({"x": x, "source_id": ("u32", [3, 5])}, many), ["2"],
        "a long list")
    for bad in ("x", "-1", "1.5", "71 106", "18446744073709551616"):
        status, out, err = run(["flowlog", "--source-id", bad])
        ok(status == 2 and bad in err, "'%s' is refused" % bad, err)


def rows_of_maps():
    maps = b"".join(msgpack.packb({"source_id": i % 3, "x": i})
                    for i in range(90))
    status, out, err = run(["flowlog", "--source-id", "1", "-v"], maps)
    got = batches(out)
    is_((status, sum(([r["x"] for r in b.records()] for b in got), [])),
        (0, list(range(1, 90, 3))), "rows are filtered the same way")
    ok("in 90, filtered 60, dropped 0, out 30" in err, "and counted", err)
    none = run(["flowlog", "--source-id", "9"], maps)
    is_(none, (0, b"", ""), "and leave nothing where none is listed")


constant()
select()
edges()
rows_of_maps()
done()
