#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""A reader of the output that has seen enough: every program ends quietly, as
`yes | head` does, and what it had taken and could not hand on is counted."""
import os
import re
import signal
import subprocess

import flowq_rows
import netflow
import receiver
import tap


def cut(name, *args, source=os.devnull):
    """Exit status and stderr of a program that reads the file SOURCE, whose
    reader takes a little and goes while more waits."""
    read_end, write_end = os.pipe()
    with open(source, "rb") as data:
        p = subprocess.Popen([tap.program(name), *map(str, args)], stdin=data,
                             stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)
    os.read(read_end, 100)
    os.close(read_end)
    errors = p.communicate(timeout=60)[1].decode()
    return p.returncode, errors


def test_filters(scratch):
    """flowrecv --read, flowdecode, flowlog: status 0, and not a word; with -v
    how much was not handed on"""
    capture, datagrams, records = (scratch / x for x in "cdr")
    netflow.generate("--pcap", capture, "--flows", 100000, "--version", 9)
    datagrams.write_bytes(receiver.run("--read", capture).stdout)
    with open(datagrams, "rb") as source, open(records, "wb") as out:
        subprocess.run([tap.program("flowdecode")], stdin=source, stdout=out,
                       check=True)
    for name, args, source in (
            ("flowrecv", ("--read", capture), os.devnull),
            ("flowdecode", (), datagrams),
            *(("flowlog", ("--format", form), records)
              for form in ("batch", "rows", "json", "csv"))):
        tap.equal(cut(name, *args, source=source), (0, ""), name)
        status, said = cut(name, *args, "-v", source=source)
        tap.equal(status, 0, name)
        n = re.search(r": the reader of the output is gone: (\d+) (?:records|"
                      r"datagrams) not written\n", said)
        tap.equal(int(n[1]) > 0, True, said)


def test_queries(scratch):
    """flowq and flowstore: not a word"""
    flowq_rows.store(str(scratch / "root"), "t", [
        {"_time": 1700000000 * 10**6 + i, "n": i} for i in range(60000)])
    tap.equal(cut("flowq", "--root", scratch / "root", "table t"), (0, ""))
    status, said = cut("flowstore", "--root", scratch / "root", "tables")
    tap.equal((status in (0, -signal.SIGPIPE), said), (True, ""), status)


def live(scratch, *args):
    """A flowrecv without -v, and where its output can be read."""
    port, = receiver.free_ports(1)
    read_end, write_end = os.pipe()
    p = subprocess.Popen([tap.program("flowrecv"), *args, str(port)],
                         stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    netflow.wait_bound(port)
    return p, port, read_end


def counters(line):
    m = receiver.LINE.match(line)
    c = {k: int(v) for k, v in m.groupdict().items()}
    tap.equal(c["sent"] + c["queued"] + c["dropped"], c["received"], line)
    return c


def test_live_idle(scratch):
    """flowrecv on a port, with nothing left behind: not a word"""
    p, port, read_end = live(scratch)
    receiver.send(port, [b"x"] * 10)
    got = b""
    while got.count(b"\xc4\x01x") < 10:
        got += os.read(read_end, 65536)
    os.close(read_end)
    tap.equal((p.wait(60), p.stderr.read()), (0, ""))


def test_live_busy(scratch):
    """what was received and not handed on is said, and counted"""
    p, port, read_end = live(scratch)
    receiver.send(port, [b"x" * 8000] * 1000)
    netflow.wait_read(port)
    os.close(read_end)
    tap.equal(p.wait(60), 0, "exit status")
    gone, line = p.stderr.read().splitlines()
    tap.equal(gone, "flowrecv: the reader of the output is gone")
    c = counters(line)
    tap.equal((c["received"], c["queued"] > 500, c["kernel"]), (1000, True, 0))


def test_live_second(scratch):
    """the same where a second signal quits, which is a failure"""
    p, port, read_end = live(scratch)
    receiver.send(port, [b"x" * 8000] * 1000)
    netflow.wait_read(port)
    p.send_signal(signal.SIGTERM)
    while p.poll() is None:
        # one that comes too early is the same one
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(0.1)
        except subprocess.TimeoutExpired:
            pass
    tap.equal(p.wait(60), 1, "exit status")
    line, why = p.stderr.read().splitlines()
    tap.equal(why, "flowrecv: quit before all was handed on")
    tap.equal(counters(line)["queued"] > 500, True)
    os.close(read_end)


tap.main(globals())
