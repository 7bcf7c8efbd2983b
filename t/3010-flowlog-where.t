#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# --where, --exporter and --match: which records pass, and how those that do
# not are counted.
import ipaddress
import os
import random
import sys
import time

import msgpack

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

rnd = random.Random(7)
T = 1795428000000000


def v6(text):
    return ipaddress.IPv6Address(text).packed


def sample(rows, number):
    """Rows with what each is in `n`."""
    def nulls(values):
        return [v if rnd.random() < .9 else None for v in values]
    return batch(rows, {
        "n": ("u32", list(range(rows))),
        "_time": ("time", [T + 1000 * i for i in range(rows)]),
        "src_addr": ("ipv4", [rnd.getrandbits(32) for _ in range(rows)]),
        "dst_port": ("u16", nulls(rnd.choice((53, 80, 443, 50000))
                                  for _ in range(rows))),
        "protocol": ("u8", [rnd.choice((1, 6, 17)) for _ in range(rows)]),
        "tcp_flags": ("u8", [rnd.randrange(64) for _ in range(rows)]),
        "octet_count": ("u64", [rnd.randrange(2 << 20)
                                for _ in range(rows)]),
        "name": ("string", nulls("eth%d" % rnd.randrange(20)
                                 for _ in range(rows))),
        "exporter": ("ipv4", [ipv4("10.%d.0.1" % rnd.randrange(4))
                              for _ in range(rows)]),
    }, number)


ROWS = 9000
DATA = sample(ROWS, 5)
RECORDS = batches(DATA)[0].records()


def passed(*args, data=DATA):
    status, out, err = run(["flowlog", *args], data)
    is_((status, err), (0, ""), "flowlog " + " ".join(args)[:70])
    return [n for b in batches(out) for n in b.columns.get("n", [])]


def check(expr, test, name=None):
    is_(passed("--where", expr), [r["n"] for r in RECORDS if test(r)],
        name or expr)


def conditions():
    check("dst_port == 443", lambda r: r["dst_port"] == 443)
    check("not dst_port == 443",
          lambda r: r["dst_port"] not in (443, None),
          "not of null is no more true")
    check("isnull(dst_port)", lambda r: r["dst_port"] is None)
    check("src_addr in 128.0.0.0/1 and protocol == tcp",
          lambda r: r["src_addr"] >> 31 and r["protocol"] == 6)
    check("tcp_flags has syn and not tcp_flags has ack",
          lambda r: r["tcp_flags"] & 0x12 == 2)
    check("IN_BYTES > 1M", lambda r: r["octet_count"] > 10**6,
          "by Cisco's name")
    check("bytes / 2 >= 500000", lambda r: r["octet_count"] >= 10**6,
          "by what follows from others")
    check('name == "eth1*"', lambda r: (r["name"] or "").startswith("eth1"))
    check('match(name, "^eth(3|1[0-4])$")',
          lambda r: r["name"] in ("eth3", "eth10", "eth11", "eth12", "eth13",
                                  "eth14"))
    check("in(dst_port, 80, 443) or protocol == icmp",
          lambda r: r["dst_port"] in (80, 443) or r["protocol"] == 1)
    check("true", lambda r: True)
    check("false", lambda r: False)
    check("null", lambda r: False)
    check("_time < now", lambda r: r["_time"] < time.time() * 1e6)
    check("_time > now + 100000d", lambda r: False)
    ors = " or ".join("n == %d" % i for i in range(0, 3000, 3))
    check(ors, lambda r: r["n"] < 3000 and r["n"] % 3 == 0,
          "a thousand conditions")


def untouched():
    is_(run(["flowlog", "--where", "n >= 0"], DATA) == (0, DATA, ""), True,
        "a batch of which all passes is passed byte by byte")
    status, out, err = run(["flowlog", "--where", "n > 99999"], DATA)
    b = batches(out)
    is_((status, err, len(b), b[0].rows, b[0].number), (0, "", 1, 0, 5),
        "one of which nothing passes goes on empty with its number")


def constants():
    c = {"n": ("u32", [0, 1]), "dst_port": ("u16", All(443)),
         "exporter": ("ipv4", All(ipv4("10.1.2.3")))}
    b = batch(2, c)
    is_(run(["flowlog", "--where", "dst_port == 443"], b)[1] == b, True,
        "a column of one value is looked at once")
    is_(passed("--where", "dst_port != 443", data=b), [], "and so it drops")
    is_(run(["flowlog", "--exporter", "10.1.0.0/16"], b)[1] == b, True,
        "an exporter of all rows")
    c["dst_port"] = ("u16", All(None))
    is_(passed("--where", "dst_port == 443", data=batch(2, c)), [],
        "null in all rows")


def shapes():
    """Types change from batch to batch, more of them than are kept."""
    kinds = ["u8", "u16", "u32", "u64", "i64", "f64"]
    data = b"".join(batch(3, {"n": ("u32", [i * 3, i * 3 + 1, i * 3 + 2]),
                              "x": (kinds[i % 6], [1, 2, 3]),
                              "y": (kinds[i // 6 % 6], All(2)),
                              "z%d" % i: ("u8", All(1))}, i + 1)
                    for i in range(72))
    is_(passed("--where", "x >= y", data=data),
        [i for i in range(216) if i % 3], "a field of six types beside one "
        "of six")


def unfit():
    """A stranger's rows."""
    rows = [{"n": 1, "dst_port": 443}, {"n": 2, "dst_port": "443"},
            {"n": 3}, {"n": 4, "dst_port": -1}, {"n": 5, "dst_port": 443.0},
            {"n": 6, "dst_port": True}, {"n": 7, "dst_port": b"443"},
            {"n": 8, "dst_port": None}, {}]
    data = b"".join(msgpack.packb(r, use_bin_type=True) for r in rows)
    status, out, err = run(["flowlog", "--where", "dst_port == 443"], data)
    is_((status, sorted(n for b in batches(out) for n in b.columns["n"])),
        (0, [1, 5]), "fields of odd types are null, and end nothing")
    ok("flowlog: --where: " in err and "null for records like these" in err,
       "which is said", err)


def exporters():
    def of(*texts):
        nets = [ipaddress.ip_network(t, strict=False) for t in texts]
        return [r["n"] for r in RECORDS
                if any(ipaddress.ip_address(r["exporter"]) in n
                       for n in nets)]
    for nets in (["10.1.0.0/16"], ["10.1.0.1"], ["10.0.0.0/15", "10.3.0.1/32"],
                 ["0.0.0.0/0"], ["192.168.0.0/16"]):
        is_(passed("--exporter", ",".join(nets)), of(*nets),
            "exporters of " + ",".join(nets))
    is_(passed("--exporter", ""), list(range(ROWS)), "an empty list: all")
    b = batch(3, {"n": ("u32", [0, 1, 2]),
                  "exporter": ("ip", [v6("2001:db8::1"), v6("2001:db9::1"),
                                      v6("::ffff:10.0.0.1")])})
    is_(passed("--exporter", "2001:db8::/32,10.0.0.1", data=b), [0, 2],
        "of both families")
    none = run(["flowlog", "--exporter", "10.0.0.1"],
               batch(1, {"n": ("u8", [1])}))
    is_(batches(none[1])[0].rows, 0,
        "records without an exporter do not pass")


def matches():
    def counted(*args):
        status, out, err = run(["flowlog", "-v", *args], DATA)
        return err.split("records: ")[1].split(" (")[0]
    want = [r["n"] for r in RECORDS if "1" in (r["name"] or "")]
    is_(passed("--match", "name=1"), want, "--match keeps what matches")
    rest = [r["n"] for r in RECORDS if "1" not in (r["name"] or "")]
    is_(passed("--match", "name=1", "--invert"), rest,
        "--invert keeps the rest, null among it")
    is_(counted("--match", "name=1"), "in %d, filtered 0, dropped %d, out %d"
        % (ROWS, len(rest), len(want)), "what it drops counts as dropped")
    is_(counted("--where", "n < 100", "--match", "n=^..$"),
        "in %d, filtered %d, dropped 10, out 90" % (ROWS, ROWS - 100),
        "beside what was filtered")
    is_(passed("--match", "src_addr=^10\\."),
        [r["n"] for r in RECORDS if r["src_addr"] >> 24 == 10],
        "addresses match as text")
    is_(passed("--match", "name = ^eth1$"),
        [r["n"] for r in RECORDS if r["name"] == "eth1"],
        "blanks around = are no part of it")
    quoted = batch(2, {"n": ("u32", [0, 1]),
                       "s": ("string", ['a"b\\c', "abc"])})
    is_(passed("--match", 's=^a"b\\\\c$', data=quoted), [0],
        "quotes and backslashes are the expression's own")
    odd = batch(2, {"n": ("u32", [0, 1]), "a b-c": ("string", ["x", "y"])})
    is_(passed("--match", "a b-c=x", data=odd), [0], "whatever the name")


def in_order():
    is_(passed("--rename", "n=m", "--where", "m == 5", "--rename", "m=n"),
        [5], "steps run in the order given")
    is_(run(["flowlog", "--rename", "n=m", "--where", "n == 5"], DATA)[2],
        "flowlog: --where: no record had a field 'n'\n",
        "so a name that is gone is gone")
    is_(passed("--where", "n < 10", "--where", "n >= 5", "--where",
               "n % 2 == 0"), [6, 8], "several conditions")


def usage():
    for args, said in (
            (["--where", "dst_port =="], "expected a field, a value or (, "
             "found the end, at character 12 of 'dst_port =='"),
            (["--where", "dst_port = 443"], "expected ==, found ="),
            (["--where", "dst_port + 1"], "expected a condition"),
            (["--where", "src_addr == 5"], "can not be compared"),
            (["--where", "((" * 400], "nested too deep"),
            (["--where", ""], "--where: "),
            (["--exporter", "10.0.0.0/33"], "'10.0.0.0/33' is no address"),
            (["--exporter", "a) or (true"], "is no address"),
            (["--match", "name"], "expected NAME=..."),
            (["--match", "name=("], "--match: regular expression, character "
             "2: ( without its )\n"),
            (["--match", "=x"], "a name has 1 to 63 bytes"),
            (["--match", "na`me=x"], "is no field name"),
            (["--match", "name=x", "--invert", "--invert"],
             "right after --match"),
            (["--invert"], "right after --match")):
        status, out, err = run(["flowlog", *args])
        ok(status == 2 and said in err, "%s: %s" % (args, said), err)


conditions()
untouched()
constants()
shapes()
unfit()
exporters()
matches()
in_order()
usage()
done()
