# SPDX-License-Identifier: BSD-2-Clause
"""flowrecord(5) in Python, for tests: batches made and read without our code,
a runner of programs, and TAP."""
import ipaddress
import os
import struct
import subprocess
import sys

import msgpack

BUILD = os.environ.get("FLOW_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "build")
PACK = {"bool": "B", "u8": "B", "u16": "H", "u32": "I", "u64": "Q",
        "i64": "q", "f64": "d", "time": "q", "ipv4": "I", "mac": "Q"}


class All:
    """One value for all rows."""

    def __init__(self, value):
        self.value = value


def column(kind, values):
    if isinstance(values, All):
        v = values.value
        if v is not None and kind in ("bool", "f64"):
            v = bool(v) if kind == "bool" else float(v)
        return [v] if kind in ("ip", "bytes") and v is not None else v
    plain = [v if v is not None else
             b"\0" * 16 if kind == "ip" else b"" if kind == "bytes" else
             "" if kind == "string" else 0 for v in values]
    if kind in ("string", "bytes"):
        raw = [v.encode("utf-8", "surrogateescape") if isinstance(v, str)
               else v for v in plain]
        at = [0]
        for r in raw:
            at.append(at[-1] + len(r))
        data = struct.pack("<%dI" % len(at), *at) + b"".join(raw)
    elif kind == "ip":
        data = b"".join(plain)
    else:
        data = struct.pack("<%d%s" % (len(plain), PACK[kind]), *plain)
    if None not in values:
        return data
    bits = bytearray((len(values) + 7) // 8)
    for i, v in enumerate(values):
        if v is not None:
            bits[i // 8] |= 1 << i % 8
    return [data, bytes(bits)]


def batch(rows, columns, number=1, stream=77):
    """COLUMNS: name -> (type, list of values or All(value))."""
    return msgpack.packb(
        [1, stream, number, rows, list(columns),
         [t for t, _ in columns.values()],
         [column(t, v) for t, v in columns.values()]], use_bin_type=True,
        unicode_errors="surrogateescape")


def values(kind, rows, c):
    """A column as a list, null as None."""
    valid = None
    if isinstance(c, list) and len(c) == 1:
        return c * rows
    if isinstance(c, list):
        c, valid = c
    if not isinstance(c, bytes):
        return [c] * rows
    if kind in ("string", "bytes"):
        at = struct.unpack_from("<%dI" % (rows + 1), c)
        body = c[4 * (rows + 1):]
        assert at[0] == 0 and at[-1] == len(body), (at, len(body))
        out = [body[at[i]:at[i + 1]] for i in range(rows)]
        if kind == "string":
            out = [v.decode("utf-8", "surrogateescape") for v in out]
    elif kind == "ip":
        out = [c[16 * i:16 * i + 16] for i in range(rows)]
        assert len(c) == 16 * rows
    else:
        out = list(struct.unpack("<%d%s" % (rows, PACK[kind]), c))
    if valid is not None:
        assert len(valid) == (rows + 7) // 8
        out = [v if valid[i // 8] >> i % 8 & 1 else None
               for i, v in enumerate(out)]
    return out


class Batch:
    def __init__(self, o):
        version, self.stream, self.number, self.rows, names, types, cols = o
        assert version == 1 and len(names) == len(types) == len(cols), o
        self.types = dict(zip(names, types))
        self.columns = {n: values(t, self.rows, c)
                        for n, t, c in zip(names, types, cols)}

    def __eq__(self, other):
        return self.__dict__ == other.__dict__

    def records(self):
        return [{n: v[i] for n, v in self.columns.items()}
                for i in range(self.rows)]


def objects(data):
    u = msgpack.Unpacker(max_buffer_size=1 << 28, raw=False,
                         unicode_errors="surrogateescape")
    u.feed(data)
    return list(u)


def batches(data):
    return [Batch(o) for o in objects(data)]


def run(args, data=b"", **kw):
    """Runs a program of ours: status, stdout, stderr as text."""
    path = os.path.join(BUILD, args[0], args[0])
    p = subprocess.run([path] + args[1:], input=data, timeout=60,
                       capture_output=True, **kw)
    return p.returncode, p.stdout, p.stderr.decode("utf-8", "replace")


def ipv4(text):
    return int(ipaddress.IPv4Address(text))


_count = _failed = 0


def ok(passed, name, note=None):
    global _count, _failed
    _count += 1
    if not passed:
        _failed += 1
    print("%sok %d - %s" % ("" if passed else "not ", _count, name))
    if not passed and note is not None:
        for line in repr(note).splitlines():
            print("# " + line[:2000])
    sys.stdout.flush()


def is_(got, want, name):
    ok(got == want, name, {"got": got, "want": want})


def done():
    print("1..%d" % _count)
    sys.exit(1 if _failed else 0)
