#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""flowstore on a full disk: it holds its input back, and goes on by itself."""
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch  # noqa: E402
from tables import STORE, rows, store, try_dump, until  # noqa: E402

ROWS = 5000  # of a batch: 40 kB of what cannot be packed
PARTS = 150
FIRST = 5  # that are committed before the rest comes
HELD = "records are held back until there is room\n"
GOES_ON = "there is room again: going on\n"


def part(number):
    rnd = random.Random(number)
    return batch(ROWS, {"x": ("u64", [rnd.getrandbits(64)
                                      for _ in range(ROWS)]),
                        "n": ("u32", All(number)),
                        "_time": ("time", All(number))}, number)


@contextlib.contextmanager
def small_disk(root):
    """A file system of 4 MB, half of which is taken by a file."""
    if os.geteuid() != 0:
        raise tap.Skip("needs root to mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none",
                       str(root)], capture_output=True).returncode != 0:
        raise tap.Skip("no mount here")
    try:
        (root / "ballast").write_bytes(bytes(2 << 20))
        yield
    finally:
        subprocess.run(["umount", str(root)], check=True)


def more_room(root):
    (root / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(root)], check=True)


def limit(run, size):
    """Files of so many bytes at most, as ulimit -f has it."""
    resource.prlimit(run.p.pid, resource.RLIMIT_FSIZE,
                     (size, resource.RLIM_INFINITY))


class Run:
    """A flowstore, and a feeder that waits where the pipe is full."""

    def __init__(self, root, *args, parts=PARTS):
        self.root = root
        self.sent = 0
        self.said = ""
        self.p = subprocess.Popen(
            [STORE, "-v", "--min-free", "0", "--root", root, *args, "t"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.threads = [threading.Thread(target=self.listen),
                        threading.Thread(target=self.feed, args=(parts,))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.end()

    def listen(self):
        for line in self.p.stderr:
            self.said += line.decode()
        self.p.stderr.close()

    def feed(self, parts):
        with contextlib.suppress(BrokenPipeError), self.p.stdin as out:
            for i in range(parts):
                out.write(part(i + 1))
                out.flush()
                self.sent = i + 1
                if i + 1 == FIRST:
                    until(self.has_committed)

    def has_committed(self):
        return sum(b.rows for b in try_dump(self.root)[1]) > 0

    def wait(self, text):
        until(lambda: text in self.said or self.p.poll() is not None)
        assert text in self.said, self.said

    def wait_still(self):
        """Until it takes no more."""
        last = -1
        while self.sent != last:
            last = self.sent
            time.sleep(0.3)

    def end(self):
        status = self.p.wait(timeout=60)
        for thread in self.threads:
            thread.join()
        return status


def check_rows(root, parts):
    got = rows(root)
    tap.equal(len(got), parts * ROWS, "rows")
    tap.equal([r["n"] for r in got[::ROWS]], list(range(1, parts + 1)),
              "batches")
    tap.equal([got[0]["_id"], got[-1]["_id"]], [1, len(got)], "_id")


def hold_and_go_on(root, run, make_room):
    run.wait(HELD)
    run.wait_still()
    assert run.sent < PARTS, run.sent
    stored = len(rows(root))
    assert 0 < stored < run.sent * ROWS, stored
    time.sleep(1)
    tap.equal(len(rows(root)), stored, "rows while it waits")
    make_room()
    run.wait(GOES_ON)
    tap.equal(run.end(), 0, "status")
    tap.equal((run.said.count(HELD), run.said.count(GOES_ON)), (1, 1),
              run.said)
    assert f"stored {PARTS * ROWS}, duplicates 0, dropped 0" in run.said, \
        run.said
    check_rows(root, PARTS)


def test_small_disk(root):
    """a full disk is told once, input waits, and nothing is lost"""
    with small_disk(root), Run(root) as run:
        hold_and_go_on(root, run, lambda: more_room(root))
        assert "No space left on device" in run.said, run.said


def test_small_segments(root):
    """the same where segments end all the time"""
    with small_disk(root), Run(root, "--segment-size", "64K") as run:
        hold_and_go_on(root, run, lambda: more_room(root))
        assert len(list((root / "t").glob("*.flow"))) > 2, run.said


def test_limit(root):
    """a limit on the size of files is like a full disk"""
    with Run(root) as run:
        limit(run, 1 << 20)
        hold_and_go_on(root, run, lambda: limit(run, 1 << 30))


def test_end_of_input(root):
    """input that ends meanwhile is waited with, not lost"""
    with Run(root, parts=30) as run:
        limit(run, 1 << 20)
        run.wait(HELD)
        run.threads[1].join()
        time.sleep(0.5)
        tap.equal(run.p.poll(), None, "it waits")
        limit(run, 1 << 30)
        tap.equal(run.end(), 0, "status")
        check_rows(root, 30)


def test_killed(root):
    """killed while it waits, the table is what was committed"""
    with Run(root) as run:
        limit(run, 1 << 20)
        run.wait(HELD)
    count = len(rows(root))
    assert count > 0 and count % ROWS == 0, count
    check_rows(root, count // ROWS)
    # and what comes again is taken from there on
    status, err = store(root, b"".join(part(i + 1) for i in range(PARTS)),
                        "--min-free", "0", "-v")
    assert status == 0 and f"duplicates {count}," in err, err
    check_rows(root, PARTS)


def test_stopped(root):
    """the first SIGTERM waits for room, the second gives up"""
    with Run(root) as run:
        limit(run, 1 << 20)
        run.wait(HELD)
        run.p.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        tap.equal(run.p.poll(), None, "it waits")
        run.p.send_signal(signal.SIGTERM)
        tap.equal(run.end(), -signal.SIGTERM, "status")


tap.main(globals())
