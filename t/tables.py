# SPDX-License-Identifier: BSD-2-Clause
"""Tables as tabledump shows them, for tests of flowstore."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import BUILD, batches  # noqa: E402

STORE = os.path.join(BUILD, "flowstore", "flowstore")
DUMP = os.path.join(BUILD, "t", "tabledump")


def try_dump(root, table="t"):
    """Status, blocks as batches, stderr."""
    p = subprocess.run([DUMP, str(root), table], capture_output=True,
                       timeout=60)
    return (p.returncode, batches(p.stdout) if p.returncode == 0 else [],
            p.stderr.decode("utf-8", "replace"))


def dump(root, table="t"):
    status, blocks, err = try_dump(root, table)
    assert status == 0, err
    return blocks


def rows(root, table="t"):
    """All records, by _id."""
    out = [r for b in dump(root, table) for r in b.records()]
    return sorted(out, key=lambda r: r["_id"])


def stats(root, table="t"):
    """Per block and column: a dict of text."""
    p = subprocess.run([DUMP, "-s", str(root), table], capture_output=True,
                       timeout=60, check=True)
    names = "first_id rows name type stored nulls min max sum".split()
    return [dict(zip(names, line.split(" ")))
            for line in p.stdout.decode().splitlines()]


def store(root, data=b"", *args, table="t", timeout=60):
    """Runs flowstore to the end: status and stderr."""
    p = subprocess.run([STORE, "--root", str(root), *args, table], input=data,
                       capture_output=True, timeout=timeout)
    return p.returncode, p.stderr.decode("utf-8", "replace")


def command(root, *args, data=b"", timeout=60):
    """Runs a command of flowstore: status, stdout, stderr."""
    p = subprocess.run([STORE, "--root", str(root), *args], input=data,
                       capture_output=True, timeout=timeout)
    return (p.returncode, p.stdout.decode("utf-8", "replace"),
            p.stderr.decode("utf-8", "replace"))


def lines(result):
    """The JSON lines of a command that went well."""
    status, out, err = result
    assert (status, err) == (0, ""), (status, err)
    return [json.loads(line) for line in out.splitlines()]


def kinds(root, table="t"):
    """What info says: lists of objects by kind."""
    out = {}
    for row in lines(command(root, "info", table, "--json")):
        out.setdefault(row.pop("kind"), []).append(row)
    return out


def until(condition, seconds=60):
    """Waits for it to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


class Store:
    """A flowstore that runs."""

    def __init__(self, root, *args, table="t"):
        self.p = subprocess.Popen(
            [STORE, "--root", str(root), *args, table],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    def write(self, data):
        self.p.stdin.write(data)
        self.p.stdin.flush()

    def end(self):
        self.p.stdin.close()
        err = self.p.stderr.read().decode("utf-8", "replace")
        self.p.stderr.close()
        return self.p.wait(timeout=30), err

    def kill(self):
        self.p.kill()
        self.p.wait()
        self.p.stderr.close()
        try:
            self.p.stdin.close()
        except BrokenPipeError:
            pass
