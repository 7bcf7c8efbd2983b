# SPDX-License-Identifier: BSD-2-Clause
"""Tests in Python that speak TAP (https://testanything.org).

Each function whose name starts with test_ in the calling script is a test, in
the order of the file, named by the first line of its docstring.  An assertion
that fails, or any other exception, is a failure with its traceback as comment;
raise Skip("why") where something is absent.
"""
import os
import pathlib
import sys
import tempfile
import traceback

T = pathlib.Path(__file__).resolve().parent
SOURCE = T.parent
BUILD = pathlib.Path(os.environ.get("FLOW_BUILD", SOURCE / "build")).resolve()


class Skip(Exception):
    pass


def program(name):
    """Where the program NAME was built."""
    folder = "t/bench" if name == "gen" else name
    return str(BUILD / folder / name)


def equal(got, wanted, what="value"):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def comment(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def run_one(number, function, scratch):
    # sockets are made where no other program looks for them
    os.environ["FLOW_RUN"] = str(scratch / "run")
    name = (function.__doc__ or function.__name__).strip().splitlines()[0]
    try:
        function(scratch)
    except Skip as why:
        print(f"ok {number} - {name} # SKIP {why}", flush=True)
        return True
    except Exception:
        comment(traceback.format_exc())
        print(f"not ok {number} - {name}", flush=True)
        return False
    print(f"ok {number} - {name}", flush=True)
    return True


def main(scope):
    """Runs the tests in SCOPE (globals() of the script); each gets an empty
    directory of its own, a pathlib.Path."""
    tests = [f for n, f in scope.items() if n.startswith("test_")]
    print(f"1..{len(tests)}", flush=True)
    good = True
    for number, function in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix="flow-t-") as scratch:
            good &= run_one(number, function, pathlib.Path(scratch))
    sys.exit(0 if good else 1)
