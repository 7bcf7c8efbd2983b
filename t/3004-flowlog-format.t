#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# The formats, read back by programs that are not ours.
import csv
import io
import json
import math
import os
import pty
import random
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

rnd = random.Random(4)
NASTY = [
    b"", b"plain", b'"', b"'", b",", b"a,b", b"\\", b"\\n", b"\n", b"\r\n",
    b"\t", b"\0", b"a\0b", b" lead", b"trail ", b"\x7f", b"\x1b[31mred",
    b"\x01\x02\x1f", b"\xff", b"ok\xffok", b"\xc3", b"\xe2\x82", b"\xc0\x80",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "grüß €😀".encode(),
    "\u0085\u009b31m".encode(), "\u2028\u2029".encode(), b"null", b"NaN",
    b'{"a":1}', b"=1+1", b"\xef\xbf\xbd", b"x" * 5000, b'",\n' * 700,
] + [rnd.randbytes(rnd.randrange(1, 40)) for _ in range(200)]


def as_json(raw):
    """What the text should be: each bad byte becomes U+FFFD."""
    out = ""
    while raw:
        try:
            return out + raw.decode()
        except UnicodeDecodeError as e:
            out += raw[:e.start].decode() + "\ufffd"
            raw = raw[e.start + 1:]
    return out


STRINGS = batch(len(NASTY), {"s": ("string", list(NASTY)),
                             "after": ("u32", list(range(len(NASTY))))})


def flowlog(*args, data):
    status, out, err = run(["flowlog"] + list(args), data)
    ok((status, err) == (0, ""), "flowlog " + " ".join(args), err)
    return out


def controls(text, but=""):
    return re.findall("[%s]" % "".join(
        chr(i) for i in list(range(32)) + list(range(127, 160))
        if chr(i) not in but), text)


def strings():
    out = flowlog("--format", "json", "--fields", "s,after", data=STRINGS)
    lines = out.decode().split("\n")
    is_(lines.pop(), "", "json ends with a newline")
    is_([json.loads(x)["s"] for x in lines], [as_json(s) for s in NASTY],
        "json gives hostile strings back")
    is_([json.loads(x)["after"] for x in lines], list(range(len(NASTY))),
        "and each is a line")
    is_(controls(out.decode(), but="\n"), [], "without control characters")
    if shutil.which("jq"):
        p = subprocess.run(["jq", "-j", '.s + "\\u0000|"'], input=out,
                           capture_output=True)
        is_(p.stdout.decode().split("\0|")[:-1] if b"\0|" in p.stdout else
            p.stderr, "\0|".join(as_json(s) for s in NASTY + [b""])
            .split("\0|")[:-1], "jq agrees")
    else:
        print("# jq is not here")

    out = flowlog("--format", "csv", "--fields", "s,after", data=STRINGS)
    rows = list(csv.reader(io.StringIO(out.decode(), newline="")))
    want = [[re.sub("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", "\ufffd",
                    as_json(s)), str(i)] for i, s in enumerate(NASTY)]
    is_(rows, [["s", "after"]] + want, "Python's csv reads csv")
    is_(controls(out.decode(), but="\n\r\t"), [],
        "which has no control characters but tab, CR, LF")

    out = flowlog("--format", "tsv", "--fields", "s,after", data=STRINGS)
    text = out.decode()

    def unescape(s):
        plain = {"t": b"\t", "n": b"\n", "r": b"\r", "\\": b"\\"}
        return re.sub(rb"\\(x(..)|.)", lambda m: bytes.fromhex(
            m.group(2).decode()) if m.group(2) else
            plain[m.group(1).decode()], s.encode())
    cells = [x.split("\t") for x in text.split("\n")]
    is_([(unescape(a), b) for a, b in cells[1:-1]],
        [(s, str(i)) for i, s in enumerate(NASTY)],
        "tsv gives every byte back")
    is_(controls(text, but="\n\t"), [], "without control characters")

    out = flowlog("--format", "rows", data=STRINGS)
    is_([o["s"].encode("utf-8", "surrogateescape") for o in objects(out)],
        NASTY, "rows give every byte back")
    back = flowlog(data=out)
    is_(batches(back)[0].columns["s"],
        [s.decode("utf-8", "surrogateescape") for s in NASTY],
        "and can be read again")


def names():
    for name in ('a"b', "a,b", "a\\b", "é", " x", "a=b"):
        b = batch(1, {name: ("u8", [1]), "o": ("u8", [2])})
        is_(json.loads(flowlog("--format", "json", data=b)),
            {name: 1, "o": 2}, "the name %r in json" % name)
        rows = list(csv.DictReader(io.StringIO(
            flowlog("--format", "csv", data=b).decode())))
        is_(rows, [{name: "1", "o": "2"}], "and in csv")


NUMBERS = {
    "u8": [0, 255, 1], "u16": [0, 65535, 1], "u32": [0, 2**32 - 1, 1],
    "u64": [0, 2**64 - 1, 10**19], "i64": [-2**63, 2**63 - 1, -1],
    "f64": [5e-324, 1.7976931348623157e308, -0.1],
    "bool": [0, 1, 0],
}


def numbers():
    b = batch(3, {k: (k, v) for k, v in NUMBERS.items()})
    lines = flowlog("--format", "json", data=b).decode().splitlines()
    for k, v in NUMBERS.items():
        is_([json.loads(x)[k] for x in lines],
            [bool(x) for x in v] if k == "bool" else v,
            "extremes of %s in json" % k)
    rows = list(csv.DictReader(io.StringIO(
        flowlog("--format", "csv", data=b).decode())))
    is_([[int(r[k]) for k in ("u64", "i64")] + [float(r["f64"])]
         for r in rows], [list(x) for x in zip(*(NUMBERS[k] for k in (
             "u64", "i64", "f64")))], "and in csv")
    odd = [math.nan, math.inf, -math.inf, -0.0]
    b = batch(4, {"f": ("f64", odd), "c": ("f64", All(math.inf))})
    is_([json.loads(x) for x in flowlog("--format", "json", data=b)
         .splitlines()], [{"c": None, "f": None}] * 3 +
        [{"c": None, "f": 0}], "json has null for what is no number")
    is_(flowlog("--format", "csv", "--fields", "f", data=b),
        b"f\nnan\ninf\n-inf\n-0\n", "csv has nan and inf")
    many = [struct.unpack("<d", rnd.randbytes(8))[0] for _ in range(3000)]
    out = flowlog("--format", "csv", data=batch(3000, {"f": ("f64", many)}))
    bad = [(a, x) for a, x in zip(many, out.decode().split()[1:])
           if not (float(x) == a or math.isnan(a) and x == "nan")]
    is_(bad, [], "3000 floats read back equal")


def addresses():
    ips = [rnd.randbytes(16) for _ in range(50)] + [
        b"\0" * 16, b"\0" * 15 + b"\1", b"\0" * 10 + b"\xff\xff\n\0\0\1"]
    b = batch(len(ips), {
        "ip": ("ip", ips), "c": ("ip", All(ips[0])),
        "v4": ("ipv4", [rnd.getrandbits(32) for _ in ips]),
        "mac": ("mac", All(0x001122334455)), "bytes": ("bytes", ips)})
    out = [json.loads(x) for x in
           flowlog("--format", "json", data=b).splitlines()]
    is_([ipaddress.ip_address(o["ip"]).packed[-4:] for o in out],
        [x[-4:] for x in ips], "addresses")
    is_((out[-1]["ip"], out[-2]["ip"], out[0]["mac"]),
        ("10.0.0.1", "::1", "00:11:22:33:44:55"),
        "a mapped IPv4 address is one")
    is_([bytes.fromhex(o["bytes"]) for o in out], ips, "bytes are hex")
    is_([ipv4(o["v4"]) for o in out], batches(b)[0].columns["v4"], "IPv4")


def nulls():
    kinds = ["bool", "u8", "u64", "i64", "f64", "time", "ipv4", "ip", "mac",
             "string", "bytes"]
    cols = {k: (k, [None] * 9) for k in kinds}
    cols.update({k + "c": (k, All(None)) for k in kinds})
    b = batch(9, cols)
    for x in flowlog("--format", "json", data=b).splitlines():
        if any(v is not None for v in json.loads(x).values()):
            ok(False, "all null", x)
    out = flowlog("--format", "csv", data=b).decode().splitlines()
    is_(out[1:], ["," * 21] * 9, "null is empty in csv")
    is_(objects(flowlog("--format", "rows", data=b)), [{}] * 9,
        "and left out of rows")


def shapes():
    a = batch(2, {"a": ("u8", [1, 2]), "s": ("ipv4", All(1))}, 1)
    b = batch(1, {"b": ("u8", [3]), "s": ("ip", All(b"\0" * 15 + b"\1"))}, 2)
    out = flowlog("--format", "json", data=a + b + a)
    is_(out.decode().splitlines()[1:3],
        ['{"a":2,"s":"0.0.0.1"}', '{"b":3,"s":"::1"}'],
        "json shows each shape's fields")
    is_(flowlog("--format", "csv", "--fields", "s,b,a", data=a + b + a),
        b"s,b,a\n0.0.0.1,,1\n0.0.0.1,,2\n::1,3,\n0.0.0.1,,1\n0.0.0.1,,2\n",
        "csv has one header for several shapes")
    for f in ("csv", "tsv"):
        status, out, err = run(["flowlog", "--format", f], a + b + b)
        is_((status, out.decode().replace("\t", ",")),
            (0, "a,s\n1,0.0.0.1\n2,0.0.0.1\n,::1\n,::1\n"),
            "%s without --fields: the first shape's columns" % f)
        lines = err.splitlines()
        ok(len(lines) == 2 and "'b'" in lines[0] and "--fields" in lines[0]
           and " 2 values" in lines[1], "and what is left out is told", err)
    is_(flowlog("--format", "csv", "--fields", "x,y", data=b""), b"x,y\n",
        "a header without records")
    is_(flowlog("--format", "csv", data=b""), b"", "none if none is known")
    is_(flowlog("--format", "csv", "--fields", "a", "--source-id", "3",
                data=a), b"a\n", "a header where all is filtered")
    big = batch(65536, {"n": ("u32", list(range(65536))),
                        "s": ("string", ["s" * (i % 9)
                                         for i in range(65536)])})
    out = flowlog("--format", "json", data=big + big).decode().splitlines()
    is_([json.loads(x)["n"] for x in out], list(range(65536)) * 2,
        "the largest batch there is")


def terminal():
    """On a terminal: JSON lines, and nothing binary."""
    b = batch(1, {"a": ("string", ["\x1b[2J"])})
    for args, want in (([], 0), (["--format", "batch"], 2),
                       (["--format", "rows"], 2), (["--format", "csv"], 0)):
        main, side = pty.openpty()
        p = subprocess.run([os.path.join(BUILD, "flowlog", "flowlog")] + args,
                           input=b, stdout=side, stderr=subprocess.PIPE)
        os.close(side)
        try:
            out = os.read(main, 10000)
        except OSError:
            out = b""
        os.close(main)
        is_(p.returncode, want, "to a terminal %s" % " ".join(args))
        ok(b"\x1b" not in out, "nothing that it would act on", out)
        if not args:
            is_(json.loads(out), {"a": "\x1b[2J"}, "JSON")


def usage():
    for f in ("xml", "table", ""):
        status, out, err = run(["flowlog", "--format", f])
        ok(status == 2 and "json" in err, "format '%s' is refused" % f, err)
    is_(run(["flowlog", "x"])[0], 2, "an argument is refused")
    is_(run(["flowlog", "--nope"])[0], 2, "an unknown option is refused")
    status, out, err = run(["flowlog", "--help"])
    ok(status == 0 and b"--source-id" in out and err == "", "--help")
    status, out, err = run(["flowlog", "-V"])
    ok(status == 0 and out.startswith(b"flowlog (flow) "), "-V", out)


def live():
    """Each batch is written when it has come, and a header once."""
    b = batch(2, {"n": ("u8", [1, 2])})
    for f, want in (("batch", b), ("rows", b"\x81\xa1n\x01\x81\xa1n\x02"),
                    ("json", b'{"n":1}\n{"n":2}\n'), ("csv", b"1\n2\n"),
                    ("tsv", b"1\n2\n"), ("row", b"{n=1}\n{n=2}\n")):
        p = subprocess.Popen([os.path.join(BUILD, "flowlog", "flowlog"),
                              "--format", f], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        first = b"n\n" + want if f in ("csv", "tsv") else want
        for expect in (first, want, want):
            p.stdin.write(b)
            p.stdin.flush()
            got = p.stdout.read(len(expect))
            is_(got, expect, "%s: a batch is written when it has come" % f)
        is_(p.communicate(timeout=30)[0], b"", "and nothing after it")



strings()
names()
numbers()
addresses()
nulls()
shapes()
terminal()
usage()
live()
done()
