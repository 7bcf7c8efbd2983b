#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowq: queries and values as nobody would type them."""
import subprocess

import records
import tap


def store(root, columns, rows):
    code, _, err = records.run(["flowstore", "--root", str(root), "t"],
                               records.batch(rows, columns))
    tap.equal((code, err), (0, ""), "flowstore")


def ask(root, query, stdin=b""):
    code, out, err = records.run(["flowq", "--root", str(root), query], stdin)
    return code, out.decode(), err


def test_zeros(root):
    """both zeros are one group, and so is all that is not a number"""
    nan, other = float("nan"), float("inf") - float("inf")
    store(root, {"f": ("f64", [0.0, -0.0, nan, 1.5, -nan, other, None]),
                 "s": ("string", ["a", "a", "b", "b", "b", "b", "c"])}, 7)
    groups = "{count=1, f=null}\n{count=2, f=0}\n{count=1, f=1.5}\n" \
        "{count=3, f=nan}\n"
    tap.equal(ask(root, "table t | stats count by f"), (0, groups, ""))
    code, out, _ = ask(root, "table t | stats count by f, s")
    tap.equal((code, out.count("\n")), (0, 4), "groups by f and s: " + out)


def test_long_lines(root):
    """an error shows a long query about the place, not the whole of it"""
    store(root, {"u": ("u8", [1])}, 1)
    for before, after in ((" " * 100000, ""), ("", "u == 1 or " * 10000),
                          ("# \u00e9\n" + "u == 1 or " * 3000, " or u" * 9000),
                          ("u == 1 or \"\u00e9\u00e9\" == \"" +
                           "\u00e9" * 20000 + "\" or ", " \u00e9" * 20000)):
        code, out, err = ask(root, f"table t | search {before}u === 1{after}")
        lines = err.split("\n")
        tap.equal((code, out, len(lines)), (2, "", 4), err[:300])
        if len(err.encode()) > 4000:
            raise AssertionError(f"{len(err)} bytes of error")
        tap.equal(lines[1][lines[2].index("^")], "=", "what the caret is at")


def test_depth(root):
    """deep and long expressions are refused or answered, never a crash"""
    store(root, {"u": ("u8", [1, 2])}, 2)
    n = 20000
    for expr in ("(" * n + "u == 1" + ")" * n, "not " * n + "u == 1",
                 "-" * n + "1 == u", "u == " + "+".join(["1"] * n),
                 "(" * 3000 + "u", "concat(" * 9000 + "u",
                 "u in (" + "(" * n):
        code, out, err = ask(root, "table t | search " + expr)
        tap.equal((code, out, len(err.split("\n"))), (2, "", 4), expr[:20])
    long = " or ".join(f"u == {i % 256}" for i in range(5000))
    tap.equal(ask(root, f"table t | search {long} | stats count"),
              (0, "{count=2}\n", ""), "a long expression")


tap.main(globals())
