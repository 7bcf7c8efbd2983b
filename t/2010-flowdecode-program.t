#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""flowdecode as a program: options, ends of all kinds, terminal, signals.
Datagrams are made here, and read back with a msgpack of another make."""
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import time

import tap

try:
    import msgpack
except ImportError:
    msgpack = None

ADDRESS = bytes([10, 0, 0, 1])


def v5(records=1, octets=10):
    head = struct.pack(">HHIIIIHH", 5, records, 100000, 1700000000, 0, 0, 0, 0)
    return head + b"".join(
        struct.pack(">4s4s4sHHIIIIHHBBBBHHBBH", bytes([10, 1, 0, i % 256]),
                    bytes([10, 2, 0, 1]), bytes(4), 1, 2, 1, octets + i, 90000,
                    99000, 1024 + i, 443, 0, 18, 6, 0, 0, 0, 24, 24, 0)
        for i in range(records))


def datagram(payload, number=1, version=1):
    if not msgpack:
        raise tap.Skip("python3-msgpack is not installed")
    return msgpack.packb([version, 7, number, "default", 1700000000000000,
                          ADDRESS, 2055, payload], use_bin_type=True)


def decode(data, *args):
    return subprocess.run([tap.program("flowdecode"), *args], input=data,
                          capture_output=True, timeout=30)


def batches(data):
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 26)
    unpacker.feed(data)
    return list(unpacker)


def column(batch, name):
    """The values of a column of unsigned integers."""
    at = batch[4].index(name)
    form = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}[batch[5][at]]
    value = batch[6][at]
    if not isinstance(value, bytes):
        return [value] * batch[3]
    return list(struct.unpack(f"<{batch[3]}{form}", value))


def start(**kw):
    return subprocess.Popen([tap.program("flowdecode"), "-v"],
                            stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                            **kw)


def read_until(stream, enough):
    """Reads what is there until it is enough."""
    data, end = b"", time.monotonic() + 30
    while not enough(data):
        left = max(0, end - time.monotonic())
        ready, _, _ = select.select([stream], [], [], left)
        more = os.read(stream.fileno(), 65536) if ready else b""
        assert more, data
        data += more
    return data


def test_help(scratch):
    """help and version go to standard output"""
    for option, want in (("-h", b"usage: "), ("--help", b"usage: "),
                         ("-V", b"flowdecode "), ("--version", b"flowdecode ")):
        p = decode(b"", option)
        tap.equal((p.returncode, p.stderr), (0, b""), option)
        assert p.stdout.startswith(want), p.stdout


def test_usage(scratch):
    """a wrong command line is exit code 2 and says what is wrong"""
    for args in (["--nonsense"], ["file"], ["--names", "some"], ["--sampling"],
                 ["--sampling", "10.0.0.1"], ["--sampling", "10.0.0.1=0"],
                 ["--sampling", "router=3"], ["--sampling", "10.0.0.1=x"],
                 ["--sampling", "10.0.0.1=4294967296"]):
        p = decode(b"", *args)
        tap.equal((p.returncode, p.stdout), (2, b""), str(args))
        assert b"flowdecode: " in p.stderr, p.stderr


def test_nothing(scratch):
    """no input is no output and no failure"""
    p = decode(b"")
    tap.equal((p.returncode, p.stdout, p.stderr), (0, b"", b""), "result")


def test_batch(scratch):
    """a datagram becomes a batch that another msgpack reads"""
    p = decode(datagram(v5(3)), "-v")
    tap.equal(p.returncode, 0, "exit code")
    batch, = batches(p.stdout)
    tap.equal(batch[0], 1, "version of the format")
    tap.equal(batch[2:4], [1, 3], "number and rows")
    tap.equal(sorted(batch[4]), batch[4], "names in order")
    tap.equal(column(batch, "octet_count"), [10, 11, 12], "octet_count")
    tap.equal(column(batch, "src_port"), [1024, 1025, 1026], "src_port")
    tap.equal(column(batch, "version"), [5, 5, 5], "version")
    for name, value in (("binding", "default"), ("exporter", 0x0a000001),
                        ("_time", 1700000000000000),
                        ("sampling_source", "unknown")):
        tap.equal(batch[6][batch[4].index(name)], value, name)
    assert re.search(rb"total: datagrams=1 sets=1 sets_decoded=1 records=3",
                     p.stderr), p.stderr


def test_many_exporters(scratch):
    """the totals are told however many exporters there are"""
    data = b"".join(msgpack.packb(
        [1, 7, i + 1, "default", 1700000000000000, struct.pack(">I", i + 1),
         2055, v5()], use_bin_type=True) for i in range(5000))
    read, write = os.pipe()  # nobody reads it before the end
    p = subprocess.Popen([tap.program("flowdecode"), "-v"], stderr=write,
                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    os.close(write)
    p.communicate(data)
    with open(read, "rb") as err:
        said = err.read()
    assert b"total: datagrams=5000 " in said, said[-300:]
    assert b"exporters=5000 " in said, said[-300:]


def test_numbers(scratch):
    """batches are numbered from 1 in a stream of its own identity"""
    data = b"".join(datagram(v5(30), i + 1) for i in range(300))
    first, second = (batches(decode(data).stdout) for _ in range(2))
    tap.equal([b[2] for b in first], [1, 2, 3], "numbers")
    tap.equal([b[3] for b in first], [4096, 4096, 808], "rows")
    tap.equal(len({b[1] for b in first}), 1, "identities in a stream")
    assert first[0][1] != second[0][1], "two streams of one identity"


def test_sampling(scratch):
    """--sampling is what the records say"""
    p = decode(datagram(v5()), "--sampling", "10.0.0.1=64")
    batch, = batches(p.stdout)
    tap.equal(column(batch, "sampling_rate"), [64], "rate")
    tap.equal(batch[6][batch[4].index("sampling_source")], "configured",
              "source")


def test_corrupt(scratch):
    """a corrupt or cut stream: exit 1, offset said, what came before is out"""
    good = datagram(v5(2))
    for bad, what in ((b"\xc1", b"offset %d" % len(good)),
                      (good[:-1], b"offset %d" % len(good)),
                      (b"\xdd\xff\xff\xff\xff", b"offset %d" % len(good)),
                      (b"\x92\x01\x02", b"offset %d" % len(good)),
                      (b"\x80", b"not a datagram stream"),
                      (datagram(v5(), version=9), b"version 9")):
        p = decode(good + bad)
        tap.equal(p.returncode, 1, repr(bad[:8]))
        assert p.stderr.startswith(b"flowdecode: "), p.stderr
        assert what in p.stderr, p.stderr
        tap.equal([b[3] for b in batches(p.stdout)], [2], "rows before it")


def test_reader_gone(scratch):
    """a reader that has seen enough ends it quietly"""
    data = b"".join(datagram(v5(30), i + 1) for i in range(2000))
    p = subprocess.Popen([tap.program("flowdecode")], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.close()
    try:
        p.stdin.write(data)
        p.stdin.close()
    except BrokenPipeError:
        pass
    errors = p.stderr.read()
    tap.equal((p.wait(timeout=30), errors), (0, b""), "result")


def test_prompt(scratch):
    """a lone datagram comes out while the input is open"""
    p = start(stdout=subprocess.PIPE)
    p.stdin.write(datagram(v5()))
    p.stdin.flush()
    data = read_until(p.stdout, lambda data: data)
    tap.equal(len(batches(data)), 1, "batches")
    p.communicate(timeout=30)
    tap.equal(p.returncode, 0, "exit code")


def test_report(scratch):
    """SIGUSR1 prints the ledger"""
    p = start(stdout=subprocess.PIPE)
    p.stdin.write(datagram(v5()) + datagram(b"\0\xff junk"))
    p.stdin.flush()
    read_until(p.stdout, lambda data: data)
    p.send_signal(signal.SIGUSR1)
    wanted = (b"total: datagrams=2 ", b"exporters=2 ",
              b"10.0.0.1 version 5 source 0: datagrams=1",
              b"10.0.0.1 (not NetFlow): datagrams=1 bad_version=1")
    # a line is a write, so they come one by one
    read_until(p.stderr, lambda text: all(w in text for w in wanted))
    p.communicate(timeout=30)


def test_interrupt(scratch):
    """after Ctrl-C it goes on to the end of input"""
    p = start(stdout=subprocess.PIPE)
    p.stdin.write(datagram(v5()))
    p.stdin.flush()
    os.read(p.stdout.fileno(), 65536)
    p.send_signal(signal.SIGINT)
    p.stdin.write(datagram(v5(2), 2))
    out, _ = p.communicate(timeout=30)
    tap.equal([b[3] for b in batches(out)], [2], "rows after the signal")
    tap.equal(p.returncode, 0, "exit code")


def test_terminal(scratch):
    """on a terminal it writes lines of JSON"""
    master, slave = pty.openpty()
    p = start(stdout=slave)
    os.close(slave)
    p.stdin.write(datagram(v5(2)))
    p.stdin.close()
    text = b""
    while True:
        try:
            text += os.read(master, 65536)
        except OSError:
            break
    rows = [json.loads(line) for line in text.splitlines()]
    tap.equal([r["octet_count"] for r in rows], [10, 11], "octet_count")
    tap.equal(rows[0]["src_addr"], "10.1.0.0", "src_addr")
    p.stderr.read()
    tap.equal(p.wait(timeout=30), 0, "exit code")


def test_said_once(scratch):
    """what is malformed is said once for each exporter, however much comes"""
    p = decode(b"".join(datagram(v5()[:-1], i) for i in range(1, 500)), "-v")
    tap.equal(p.stderr.count(b"said once"), 1, "lines")
    assert b"bad_count=499" in p.stderr, p.stderr


tap.main(globals())
