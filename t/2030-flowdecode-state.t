#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What flowdecode --state keeps: over an end, over kill -9, over damage."""
import os
import pathlib
import random
import re
import struct
import subprocess
import time

import netflow
import tap
import v9

PORTS = ((7, 2), (11, 2), (14, 4))
TEMPLATE = v9.datagram(v9.message(v9.template(256, *PORTS)))
RECORD = struct.pack(">HHI", 4242, 443, 9)
DATA = v9.datagram(v9.message(v9.a_set(256, RECORD)), time=5)
RATE = v9.datagram(v9.message(
    v9.rate_template(300), v9.a_set(300, struct.pack(">II", 0, 64))))
# the scope is an interface, the option its name
NAME = v9.datagram(v9.message(
    v9.a_set(1, struct.pack(">HHHHHHH", 301, 4, 4, 2, 4, 82, 8)),
    v9.a_set(301, struct.pack(">I8s", 9, b"uplink-9"))))


def start(folder, *args):
    return subprocess.Popen(
        [tap.program("flowdecode"), "--state", str(folder), *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(folder, data, *args):
    return v9.decode(data, "--state", str(folder), *args)


def text(batches, name):
    """Of the only row: one plain value, or offsets and bytes."""
    batch, = batches
    value = batch[6][batch[4].index(name)]
    return value[8:].decode() if isinstance(value, bytes) else value


def wait_written(folder, *patterns):
    def written():
        path = folder / "state"
        data = path.read_bytes() if path.exists() else b""
        return all(p in data for p in patterns)
    netflow.wait_for(written, "the state is written")
    time.sleep(0.5)


def killed(folder, data, *patterns):
    """kill -9 once the state has the patterns. What came out."""
    p = start(folder)
    p.stdin.write(data)
    p.stdin.flush()
    wait_written(folder, *patterns)
    p.kill()
    out, _ = p.communicate()
    return v9.batches(out)


def fields(*pairs):
    """As in a saved template."""
    return b"".join(struct.pack(">IHH", 0, *p) for p in pairs)


def test_templates_over_a_kill(scratch):
    """templates, rates and names survive kill -9"""
    killed(scratch / "s", TEMPLATE + RATE + NAME, fields(*PORTS),
           struct.pack(">I", 64), b"uplink-9")
    for _ in range(2):
        got, ledger = run(scratch / "s", v9.datagram(
            v9.message(v9.a_set(256, RECORD))))
        tap.equal(v9.column(got, "src_port"), [4242], "src_port")
        tap.equal(v9.column(got, "sampling_rate"), [64], "sampling_rate")
        tap.equal(text(got, "output_name"), "uplink-9", "output_name")
        tap.equal(ledger.get("templates"), None, "templates that came")


def test_waiting_over_a_kill(scratch):
    """sets that wait survive kill -9, as they came"""
    killed(scratch / "s", DATA, RECORD)
    got, ledger = run(scratch / "s", b"")
    tap.equal((got, ledger["sets"], ledger["sets_waiting"]), ([], 1, 1),
              "another restart")
    got, ledger = run(scratch / "s", TEMPLATE)
    tap.equal(v9.column(got, "src_port"), [4242], "src_port")
    tap.equal(v9.column(got, "_time"), [5], "_time")
    tap.equal(text(got, "binding"), "default", "binding")
    tap.equal((ledger["sets"], ledger["sets_decoded"],
               ledger.get("sets_waiting")), (2, 1, None), "sets")
    got, ledger = run(scratch / "s", TEMPLATE)
    tap.equal((got, ledger["sets"]), ([], 1), "and it waits no more")


def test_order_and_number(scratch):
    """thousands of sets come back in their order, those decoded do not"""
    many = b"".join(v9.datagram(v9.message(v9.a_set(
        256 + i % 2, struct.pack(">HHI", i, i, i)))) for i in range(5000))
    p = start(scratch / "s")
    p.stdin.write(many)
    p.stdin.flush()
    wait_written(scratch / "s", struct.pack(">HHI", 4999, 4999, 4999))
    p.stdin.write(v9.datagram(v9.message(v9.template(257, *PORTS))))
    p.stdin.flush()
    out = os.read(p.stdout.fileno(), 1)
    wait_written(scratch / "s", fields(*PORTS))
    p.kill()
    out += p.communicate()[0]
    tap.equal(v9.column(v9.batches(out), "src_port"),
              list(range(1, 5000, 2)), "before the kill")
    got, ledger = run(scratch / "s", TEMPLATE)
    tap.equal(v9.column(got, "src_port"), list(range(0, 5000, 2)), "after")
    tap.equal(ledger.get("sets_waiting"), None, "left")


def test_at_the_end(scratch):
    """at the end everything is written, and nothing that is gone"""
    gone = v9.datagram(v9.message(v9.a_set(0, struct.pack(">HH", 256, 9))))
    run(scratch / "s", TEMPLATE + RATE)
    tap.equal(len(run(scratch / "s", DATA)[0]), 1, "batches")
    got, ledger = run(scratch / "s", gone)
    tap.equal(ledger["bad_template"], 1, "bad_template")
    got, ledger = run(scratch / "s", DATA)
    tap.equal((got, ledger["sets_waiting"]), ([], 1), "no template")
    got, ledger = run(scratch / "s", TEMPLATE, "--wait", "0")
    tap.equal((got, ledger["sets_expired"]), ([], 1), "nothing may wait")
    got, ledger = run(scratch / "s", DATA)
    tap.equal(len(got), 1, "batches")
    tap.equal(sorted(os.listdir(scratch / "s")), [".lock", "state"], "files")


def test_time_goes_on(scratch):
    """what waited too long is given up, also when nothing ran meanwhile"""
    run(scratch / "s", DATA)
    time.sleep(1.2)
    p = start(scratch / "s", "-v", "--wait", "1M,1")
    out, errors = p.communicate(TEMPLATE)
    ledger = v9.totals(errors.decode())
    tap.equal((out, ledger.get("sets_expired")), (b"", 1), "result")


def test_ports(scratch):
    """exporters told apart by port stay so"""
    data = b"".join(v9.datagram(v9.message(v9.template(256, (e, 2))), port=e)
                    for e in (7, 11))
    run(scratch / "s", data, "--template-scope", "port")
    data = b"".join(v9.datagram(v9.message(v9.a_set(256, b"\0\5")), port=e)
                    for e in (7, 11))
    got, _ = run(scratch / "s", data, "--template-scope", "port")
    tap.equal([("src_port" in b[4], "dst_port" in b[4]) for b in got],
              [(True, False), (False, True)], "fields")


def test_one_at_a_time(scratch):
    """a second flowdecode in the same directory is refused"""
    p = start(scratch / "s", "--stats", str(scratch / "stats"))
    p.stdin.write(TEMPLATE)
    p.stdin.flush()
    netflow.wait_for((scratch / "s" / "state").exists, "start")
    second = start(scratch / "s")
    out, errors = second.communicate(DATA, timeout=30)
    tap.equal((second.returncode, out), (1, b""), "result")
    assert b"another flowdecode uses" in errors, errors
    p.communicate(DATA, timeout=30)
    tap.equal(p.returncode, 0, "the first")


def test_wrong_places(scratch):
    """a place that cannot be is said, exit 1"""
    (scratch / "file").write_text("")
    for place in (scratch / "no" / "s", scratch / "file"):
        p = start(place)
        out, errors = p.communicate(DATA, timeout=30)
        tap.equal((p.returncode, out), (1, b""), str(place))
        assert b"flowdecode: --state" in errors, errors
        assert str(place).encode() in errors, errors


def make(folder):
    """A state with something of everything; the file's bytes."""
    fill = b"".join(
        v9.datagram(v9.message(v9.template(256 + i, *PORTS[:1 + i % 3],
                                           (1000 + i, 4)), source=s))
        for i in range(20) for s in range(5))
    more = b"".join(v9.datagram(v9.message(v9.a_set(900, bytes(1200)),
                                           source=s)) for s in range(5))
    run(folder, TEMPLATE + RATE + NAME + fill + more)
    return (folder / "state").read_bytes()


def damaged(scratch, data):
    """Starts with these bytes as state, and again. Whether it was said, and
    whether the data were decoded."""
    for old in pathlib.Path(scratch / "s").glob("state*"):
        old.unlink()
    (scratch / "s" / "state").write_bytes(data)
    done = subprocess.run(
        [tap.program("flowdecode"), "-v", "--state", str(scratch / "s")],
        input=DATA, capture_output=True, timeout=60)
    tap.equal(done.returncode, 0, f"exit code ({done.stderr})")
    aside = list((scratch / "s").glob("state.damaged-*"))
    said = done.stderr.count(b"set aside as state.damaged-")
    tap.equal(len(aside), said, "set aside")
    if aside:
        tap.equal(aside[0].read_bytes(), data, "what was set aside")
    again = start(scratch / "s")
    _, errors = again.communicate(b"", timeout=60)
    tap.equal((again.returncode, errors), (0, b""), "and the next time")
    return said, len(v9.batches(done.stdout))


def test_not_a_state(scratch):
    """a file that is no state, or cut, is set aside, said once"""
    good = make(scratch / "s")
    tap.equal(damaged(scratch, good), (0, 1), "the good one")
    for bad in (b"", b"x", b"garbage" * 5000, bytes(100000), good[:4096],
                good[:-1 - len(good) // 2], good[4096:]):
        tap.equal(damaged(scratch, bad), (1, 0), f"{len(bad)} bytes")


def test_version(scratch):
    """a state of another version is set aside, and said"""
    good = make(scratch / "s")
    bad = good.replace(b"version\1", b"version\2")
    assert good != bad
    tap.equal(damaged(scratch, bad), (1, 0), "version 2")


def test_bit_flips(scratch):
    """no bit flip does harm, and none in a value goes unseen"""
    good = make(scratch / "s")
    random.seed(3)
    said = decoded = 0
    for _ in range(150):
        bad = bytearray(good)
        for _ in range(random.choice((1, 1, 10))):
            bad[random.randrange(len(bad))] ^= 1 << random.randrange(8)
        result = damaged(scratch, bytes(bad))
        said += result[0]
        decoded += result[1]
    tap.comment(f"said {said} times, decoded {decoded} times")
    assert said > 0 and decoded > 0
    at = [m.start() for m in re.finditer(re.escape(fields(*PORTS)), good)]
    assert at
    bad = bytearray(good)
    for i in at:
        bad[i + 3] ^= 1
    tap.equal(damaged(scratch, bytes(bad))[0], 1, "in a template")


def test_disk_full(scratch):
    """a state that cannot be written is said; decoding goes on"""
    p = subprocess.Popen(
        ["bash", "-c", "ulimit -f 200; trap '' XFSZ; exec \"$@\"", "-",
         tap.program("flowdecode"), "--state", str(scratch / "s")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    netflow.wait_for((scratch / "s" / "state").exists, "start")
    p.stdin.write(TEMPLATE + b"".join(
        v9.datagram(v9.message(v9.a_set(400, os.urandom(1200))))
        for _ in range(1000)))
    p.stdin.flush()
    errors = os.read(p.stderr.fileno(), 65536)
    assert b"--state: cannot write" in errors, errors
    out, errors = p.communicate(DATA, timeout=60)
    tap.equal(len(v9.batches(out)), 1, "batches")
    tap.equal(p.returncode, 1, "exit code: it is not written at the end")


tap.main(globals())
