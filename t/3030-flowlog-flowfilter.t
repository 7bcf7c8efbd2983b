#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# --where with flow filters: each form beside what it means, over records of
# both families.
import ipaddress
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

rnd = random.Random(3)
N = 4000
PORTS = (0, 22, 53, 80, 443, 1023, 1024, 8080, 50000)
V4 = [ipv4(t) for t in ("10.0.0.1", "10.1.2.3", "172.16.9.9", "172.32.0.1",
                        "192.168.1.1", "8.8.8.8", "0.0.0.0")]
V6 = [ipaddress.IPv6Address(t) for t in ("2001:db8::1", "2001:db8:1::2",
                                         "fe80::1", "::1")]


def pick(values):
    return [rnd.choice(values) for _ in range(N)]


COLS = {
    "n": ("u32", list(range(N))),
    "src_addr": ("ipv4", pick(V4)), "dst_addr": ("ipv4", pick(V4)),
    "next_hop": ("ipv4", pick(V4)), "exporter": ("ipv4", pick(V4)),
    "src_port": ("u16", pick(PORTS)), "dst_port": ("u16", pick(PORTS)),
    "src_as": ("u32", pick((0, 1, 64512, 4200000000))),
    "dst_as": ("u32", pick((0, 1, 64512, 4200000000))),
    "input": ("u16", pick((0, 1, 2, 3))),
    "output": ("u32", pick((0, 1, 2, 3))),
    "protocol": ("u8", pick((1, 6, 17, 47, 58))),
    "tcp_flags": ("u8", [rnd.randrange(64) for _ in range(N)]),
    "tos": ("u8", pick((0, 8, 184))),
    "octet_count": ("u64", [int(10 ** rnd.uniform(0, 10))
                            for _ in range(N)]),
    "packet_count": ("u32", [int(10 ** rnd.uniform(0, 5))
                             for _ in range(N)]),
    "start_time": ("time", [10**15] * N),
    "end_time": ("time", [10**15 + rnd.choice((0, 1, 999, 1000, 5000, 60000))
                          * 1000 for _ in range(N)]),
}
SIX = dict(COLS, n=("u32", list(range(N, 2 * N))),
           src_addr=("ip", [a.packed for a in pick(V6)]),
           dst_addr=("ip", [a.packed for a in pick(V6)]))
DATA = batch(N, COLS, 1) + batch(N, SIX, 2)


class Record:
    def __init__(self, r):
        self.r = r

    def __getattr__(self, name):
        v = self.r[name]
        if name in ("src_addr", "dst_addr", "next_hop", "exporter"):
            return ipaddress.ip_address(v)
        return v

    @property
    def ms(self):
        return (self.end_time - self.start_time) / 1000

    def either(self, name, test):
        return test(getattr(self, "src_" + name)) or \
            test(getattr(self, "dst_" + name))

    def inside(self, address, *nets):
        return any(getattr(self, address) in ipaddress.ip_network(n)
                   for n in nets)


RECORDS = [Record(r) for b in batches(DATA) for r in b.records()]


def same(a, b):
    """Filters that mean the same."""
    is_(passed(a), passed(b), "%s: as %s" % (a, b))


def passed(text):
    status, out, err = run(["flowlog", "--where", text], DATA)
    if (status, err) != (0, ""):
        return status, err
    return [n for b in batches(out) for n in b.columns.get("n", [])]


def check(text, test):
    want = [r.n for r in RECORDS if test(r)]
    is_(passed(text), want, text)
    ok(0 < len(want) < 2 * N, "which some records pass, not all", len(want))


def addresses():
    check("src net 10.0.0.0/8", lambda r: r.inside("src_addr", "10.0.0.0/8"))
    check("dst net 172.16.0.0 255.240.0.0",
          lambda r: r.inside("dst_addr", "172.16.0.0/12"))
    check("src net 172.16/12", lambda r: r.inside("src_addr",
                                                  "172.16.0.0/12"))
    same("src net 10", "src net 10.0.0.0/8")
    same("src net 192.168.1", "src net 192.168.1.0/24")
    check("net 2001:db8::/32", lambda r: r.inside(
        "src_addr", "2001:db8::/32") or r.inside("dst_addr",
                                                 "2001:db8::/32"))
    check("src host 10.0.0.1", lambda r: str(r.src_addr) == "10.0.0.1")
    check("dst ip fe80::1", lambda r: str(r.dst_addr) == "fe80::1")
    check("ip 8.8.8.8", lambda r: r.either(
        "addr", lambda a: str(a) == "8.8.8.8"))
    same("any ip 8.8.8.8", "host 8.8.8.8")
    same("src or dst ip 8.8.8.8", "host 8.8.8.8")
    same("src 8.8.8.8", "src host 8.8.8.8")
    same("dst 10.0.0.0/8", "dst net 10.0.0.0/8")
    check("src and dst net 10.0.0.0/8", lambda r: r.inside(
        "src_addr", "10.0.0.0/8") and r.inside("dst_addr", "10.0.0.0/8"))
    check("src ip in [10.0.0.1, 8.8.8.8 172.16.0.0/12 ::1]",
          lambda r: str(r.src_addr) in ("10.0.0.1", "8.8.8.8", "::1") or
          r.inside("src_addr", "172.16.0.0/12"))
    check("next ip 8.8.8.8", lambda r: str(r.next_hop) == "8.8.8.8")
    check("exporter net 10.0.0.0/8", lambda r: r.inside("exporter",
                                                        "10.0.0.0/8"))
    check("src ip != 8.8.8.8", lambda r: str(r.src_addr) != "8.8.8.8")
    check("inet", lambda r: r.src_addr.version == 4)
    check("not inet6 and tcp",
          lambda r: r.src_addr.version == 4 and r.protocol == 6)


def ports():
    check("dst port 443", lambda r: r.dst_port == 443)
    check("port 443", lambda r: r.either("port", lambda p: p == 443))
    check("src port > 1023", lambda r: r.src_port > 1023)
    check("dst port <= 1023", lambda r: r.dst_port <= 1023)
    check("port != 0", lambda r: r.src_port != 0 and r.dst_port != 0)
    check("dst port in [80 443, 8000-9000]",
          lambda r: r.dst_port in (80, 443, 8080))
    check("portrange 1000-2000",
          lambda r: r.either("port", lambda p: 1000 <= p <= 2000))
    same("src port https", "src port = 443")
    same("dst port gt 1023", "dst port > 1023")
    same("DST PORT 443 AND PROTO TCP", "dst port 443 and proto tcp")
    same("tcp dst port 443", "dst port 443 and proto tcp")
    same("tcp port 80", "proto tcp and port 80")
    same("dst port == 443", "dst_port == 443")


def others():
    check("src as 64512", lambda r: r.src_as == 64512)
    check("as AS4200000000", lambda r: r.either(
        "as", lambda a: a == 4200000000))
    check("dst as in [1 64512]", lambda r: r.dst_as in (1, 64512))
    check("in if 2", lambda r: r.input == 2)
    check("out if 3", lambda r: r.output == 3)
    same("src if 2", "in if 2")
    check("if 3", lambda r: r.input == 3 or r.output == 3)
    check("proto udp", lambda r: r.protocol == 17)
    check("proto 47", lambda r: r.protocol == 47)
    check("proto in [tcp udp icmp6]", lambda r: r.protocol in (6, 17, 58))
    check("not proto tcp", lambda r: r.protocol != 6)
    same("udp", "proto udp")
    same("gre or icmp", "proto in [gre, icmp]")
    check("tos 184", lambda r: r.tos == 184)
    check("flags S and not flags A", lambda r: r.tcp_flags & 18 == 2)
    check("flags SA", lambda r: r.tcp_flags & 18 == 18)
    same("flags syn,ack", "flags AS")
    same("flags 18", "flags SA")
    check("flags = 2", lambda r: r.tcp_flags == 2)
    check("flags X", lambda r: r.tcp_flags == 63)


def amounts():
    check("bytes > 1M", lambda r: r.octet_count > 10**6)
    check("bytes <= 1.5K", lambda r: r.octet_count <= 1500)
    check("packets < 10", lambda r: r.packet_count < 10)
    check("packets 1", lambda r: r.packet_count == 1)
    check("duration > 1s", lambda r: r.ms > 1000)
    check('"duration > 1000"', lambda r: r.ms > 1000)
    check('"duration < 1000 and tcp"',
          lambda r: r.ms < 1000 and r.protocol == 6)
    same("duration >= 1m", "duration >= 60s")
    check("duration > 2", lambda r: r.ms > 2000)  # an expression
    check("bps > 1M", lambda r: r.ms and r.octet_count * 8000 / r.ms > 10**6)
    check("pps < 100", lambda r: r.ms and r.packet_count * 1000 / r.ms < 100)
    check("bpp >= 1000", lambda r: r.octet_count / r.packet_count >= 1000)


def logic():
    check("not (src port 80 or dst port 80) and (tcp or udp)",
          lambda r: 80 not in (r.src_port, r.dst_port) and
          r.protocol in (6, 17))
    check("src port 80 or dst port 80 and proto tcp",
          lambda r: r.src_port == 80 or (r.dst_port == 80 and
                                         r.protocol == 6))
    same("! tcp && ! udp || icmp", "not tcp and not udp or icmp")
    same("not not tcp", "tcp")
    same("any and tcp", "tcp")
    same("src net 10.0.0.0/8\n\tand tcp", "src net 10.0.0.0/8 and tcp")
    many = " or ".join("src port %d" % p for p in range(1000))
    check(many, lambda r: r.src_port < 1000)
    check("src port in [%s]" % " ".join(map(str, range(1000))),
          lambda r: r.src_port < 1000)
    check("(" * 90 + "tcp" + ")" * 90, lambda r: r.protocol == 6)


def refused():
    for text, said in (
            ("src proto tcp", "expected ip, host, net, port, as or if, found "
             "proto"),
            ("src ip 10.0.0", "expected an address (10.0.0.1, 2001:db8::1), "
             "found 10.0.0"),
            ("net 10.0.0.0/33", "expected a network"),
            ("net example.org", "expected a network"),
            ("dst port 65536", "expected a port (443, https, 1-1023), found "
             "65536"),
            ("dst port 1-70000", "expected a port"),
            ("dst port in 80", "expected [ and a list, found 80"),
            ("dst port in [80", "expected a value or ]"),
            ("dst port in []", "expected a port (443, https, 1-1023), found ]"),
            ("proto frog", "expected a protocol"),
            ("proto 256", "expected a protocol"),
            ("flags Q", "expected TCP flags"),
            ("src port 5 and bytes > many", "expected a number (1500, 10K, "
             "1.5M), found many"),
            ("bytes > 99999999999999999999", "expected a number"),
            ("proto tcp dst frog", "and, or or the end"),
            ("(proto tcp", "expected and, or or ), found the end"),
            ("proto tcp and", "found the end"),
            ("proto tcp)", "expected and, or or the end, found )"),
            ("next port 5", "expected ip, host or net"),
            ("duration > 1000 and proto tcp", "1000 is milliseconds in a "
             "flow filter and seconds in an expression: write 1000ms or "
             "1000s")):
        status, out, err = run(["flowlog", "--where", text])
        ok(status == 2 and err.startswith("flowlog: --where: flow filter: ")
           and said in err, "%s: %s" % (text[:40], said), err)
    for text in ("not " * 150 + "tcp", "(" * 300 + "proto tcp" + ")" * 300):
        status, out, err = run(["flowlog", "--where", text])
        ok(status in (0, 2), text[:40] + ": no crash", err)


addresses()
ports()
others()
amounts()
logic()
refused()
done()
