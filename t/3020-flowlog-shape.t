#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# --eval, --tag and --rename: columns that are made and named.
import csv
import io
import ipaddress
import json
import os
import sys

import msgpack

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

T = 1795428000000000
N = 5000
COLS = {
    "_time": ("time", [T + i for i in range(N)]),
    "n": ("u32", list(range(N))),
    "src_addr": ("ipv4", [i << 8 for i in range(N)]),
    "octet_count": ("u32", [7 * i if i % 9 else None for i in range(N)]),
    "name": ("string", ["if%d" % (i % 13) if i % 5 else None
                        for i in range(N)]),
    "protocol": ("u8", All(6)),
    "start_time": ("time", All(T)), "end_time": ("time", All(T + 2500000)),
}
DATA = batch(N, COLS, number=3)


def one(*args, data=DATA):
    status, out, err = run(["flowlog", *args], data)
    is_((status, err), (0, ""), "flowlog " + " ".join(args)[:90])
    b = batches(out)
    is_(len(b), 1, "one batch")
    return b[0]


def made():
    octets = COLS["octet_count"][1]
    b = one("--eval", "bits = octet_count * 8")
    is_(b.columns["bits"], [v if v is None else v * 8 for v in octets],
        "numbers, null where they are")
    is_((b.types["bits"], b.number, len(b.columns)), ("u64", 3, 9),
        "in a column more")
    b = one("--eval", 'label = concat(name, "-", n)')
    is_(b.columns["label"], [v and "%s-%d" % (v, i)
                             for i, v in enumerate(COLS["name"][1])],
        "strings")
    b = one("--eval", "net = network(src_addr, 16)")
    is_((b.types["net"], b.columns["net"]),
        ("ipv4", [i << 8 & 0xffff0000 for i in range(N)]), "addresses")
    b = one("--eval", 'a = ip("2001:db8::1")')
    is_((b.types["a"], b.columns["a"][9]),
        ("ip", ipaddress.IPv6Address("2001:db8::1").packed), "of IPv6")
    b = one("--eval", "d = end_time - start_time", "--eval", "t = _time + 1s",
            "--eval", "f = n / 4", "--eval", "yes = n % 2 == 0", "--eval",
            "m = -n")
    is_((b.types["d"], b.columns["d"][7]), ("f64", 2.5), "durations")
    is_((b.types["t"], b.columns["t"][7]), ("time", T + 1000007), "times")
    is_((b.types["f"], b.columns["f"][7]), ("f64", 1.75), "floats")
    is_((b.types["yes"], b.columns["yes"][:2]), ("bool", [1, 0]), "booleans")
    is_((b.types["m"], b.columns["m"][-1]), ("i64", 1 - N),
        "negative numbers")


def constant():
    status, out, _ = run(["flowlog", "--eval", "p = protocol + 1", "--eval",
                          'who = "me"'], DATA)
    o = objects(out)[0]
    columns = dict(zip(o[4], o[6]))
    is_((columns["p"], columns["who"]), (7, "me"),
        "what is the same in all rows is sent as one value")


def selected():
    b = one("--where", "n % 1000 == 999", "--eval", "twice = 2 * n", "--eval",
            'text = concat("<", name, ">")')
    is_(b.columns["twice"], [1998, 3998, 5998, 7998, 9998],
        "of the rows that are left")
    is_(b.columns["text"], ["<if%d>" % (i % 13) for i in range(999, N, 1000)],
        "strings too")
    b = one("--eval", "twice = 2 * n", "--eval", 'text = concat("<", n, ">")',
            "--where", "twice in (10, 4000, 9998)")
    is_((b.columns["twice"], b.columns["text"]),
        ([10, 4000, 9998], ["<5>", "<2000>", "<4999>"]),
        "a condition on what was made")


def replaced():
    b = one("--eval", "n = n + 1", "--eval", "n = n * 2", "--where", "n <= 4")
    is_((b.columns["n"], len(b.columns)), ([2, 4], 8),
        "a field of the name is replaced, by what was made of it")
    b = one("--eval", "n = null")
    is_("n" in b.columns, False, "a field that is null in all rows is gone")
    b = one("--fields", "n,duration", "--where", "n < 2")
    is_(b.columns["duration"], [2.5, 2.5], "--fields makes what follows")


def tags():
    b = one("--tag", "site=zürich", "--tag", "empty=", "--tag", "a=b=c",
            "--where", "n == 3")
    is_([b.columns[k] for k in ("site", "empty", "a")],
        [["zürich"], [""], ["b=c"]], "tags")
    status, out, _ = run(["flowlog", "--tag", "site=x"], DATA)
    is_(dict(zip(*[objects(out)[0][i] for i in (4, 6)]))["site"], "x",
        "as one value")
    b = one("--tag", "n=text", "--where", 'n == "text"')
    is_((b.types["n"], b.rows), ("string", N), "in place of a field")
    rows = objects(run(["flowlog", "--tag", "site=x", "--format", "rows"],
                       msgpack.packb({"n": 1}))[1])
    is_(rows, [{"n": 1, "site": "x"}], "rows in, rows out")


def renames():
    b = one("--rename", "octetDeltaCount=bytes_in", "--rename", "n = number")
    is_(("bytes_in" in b.columns, "number" in b.columns, len(b.columns)),
        (True, True, 8), "fields by any of their names, to a new one")
    b = one("--rename", "n=name")
    is_((b.types["name"], len(b.columns)), ("u32", 7),
        "a field that had the new name is gone")
    line = run(["flowlog", "--format", "json", "--rename", "n=name"],
               DATA)[1].splitlines()[7]
    is_((line.count(b'"name"'), json.loads(line)["name"]), (1, 7),
        "in text too")
    is_(header("--rename", "src_addr=_time", "--rename", "n=protocol"),
        ["end_time", "protocol", "name", "octet_count", "_time",
         "start_time"], "in any place")
    b = one("--rename", "n=x", "--rename", "protocol=n", "--rename",
            "x=protocol")
    is_((b.columns["n"][9], b.columns["protocol"][9]), (6, 9), "a swap")
    is_(one("--rename", "n=n").columns["n"], list(range(N)), "to itself")
    is_(run(["flowlog", "--rename", "nn=x"], DATA),
        (0, DATA, "flowlog: --rename: no record had a field 'nn'\n"),
        "a field that is not there is told of")


def header(*args):
    out = run(["flowlog", "--format", "csv", *args], DATA)[1].decode()
    return list(csv.reader(io.StringIO(out)))[0]


def columns():
    is_(header("--fields", "n,name", "--eval", "x = n + 1", "--tag", "t=u"),
        ["n", "name", "x", "t"], "csv has the columns in order")
    is_(header("--fields", "n,name", "--rename", "name=n"), ["n"],
        "and under their new names")
    is_(header("--fields", "n,name,protocol", "--rename", "name=b",
               "--fields", "-n"), ["b", "protocol"], "dropped ones are not")
    is_(header("--fields", "n,name", "--where", "n > 99999", "--tag", "t=u"),
        ["n", "name", "t"], "where no record passes too")
    out = run(["flowlog", "--format", "json", "--fields", "n", "--eval",
               'j = "a\\"b"', "--where", "n == 1"], DATA)[1]
    is_(json.loads(out), {"n": 1, "j": 'a"b'}, "json")


def odd():
    """Rows of a stranger: no type is as it should be."""
    rows = [{"octet_count": "many", "n": 1}, {"octet_count": 5, "n": 2},
            {"octet_count": -5, "n": 3}, {"octet_count": 2**64 - 1, "n": 4},
            {"octet_count": 1.5, "n": 5}, {"octet_count": True, "n": 6},
            {"octet_count": b"\xff", "n": 7}, {"n": 8}]
    status, out, err = run(
        ["flowlog", "--format", "json", "--eval", "x = octet_count * 8",
         "--fields", "n,x"],
        b"".join(msgpack.packb(r, use_bin_type=True) for r in rows))
    got = {r["n"]: r["x"] for r in map(json.loads, out.splitlines())}
    is_((status, got), (0, {1: None, 2: 40, 3: -40, 4: None, 5: 12,
                            6: None, 7: None, 8: None}),
        "what can not be worked out is null")
    ok("--eval: no * between a string and a number: null for records like "
       "these" in err, "and told of", err)


def usage():
    for args, said in (
            (["--eval", "x"], "expected NAME=..."),
            (["--eval", "x ="], "expected a field"),
            (["--eval", "= 1"], "a name has 1 to 63 bytes"),
            (["--eval", "x = src_addr * 2"], "no * between"),
            (["--eval", "x = 10.0.0.0/8"], "a network stands only after in"),
            (["--eval", "x = nosuch(1)"], "there is no function nosuch"),
            (["--eval", "\x1b = 1"], "is no field name"),
            (["--eval", "x" * 64 + " = 1"], "a name has 1 to 63 bytes"),
            (["--tag", "site"], "expected NAME=..."),
            (["--tag", "site=" + "x" * 65540], "longer than"),
            (["--tag", b"site=\xff"], "a tag is UTF-8 text"),
            (["--rename", "a"], "expected NAME=..."),
            (["--rename", "a="], "a name has 1 to 63 bytes"),
            (["--rename", "a=b=c"], "is no field name"),
            (["--tag", "a=b"] * 257, "more than 256 steps")):
        status, out, err = run(["flowlog", *args])
        ok(status == 2 and said in err, "%s: %s" % (str(args)[:60], said),
           err)


made()
constant()
selected()
replaced()
tags()
renames()
columns()
odd()
usage()
done()
