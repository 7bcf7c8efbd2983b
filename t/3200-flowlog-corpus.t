#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Records of real exporters through flowlog: passed on untouched, in every
format as an independent reader has them, and divided by conditions without a
rest."""
import csv
import functools
import io
import ipaddress
import json
import os
import pathlib
import shutil
import subprocess

import netflow
import tap

try:
    import msgpack

    import records
except ImportError:
    msgpack = None

CORPUS = pathlib.Path(
    os.environ.get("FLOW_CORPUS", tap.SOURCE.parent / "shared" / "corpus"))


def flowlog(data, *args):
    done = subprocess.run([tap.program("flowlog"), *args], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60)
    tap.equal(done.returncode, 0, f"flowlog {args} ({done.stderr})")
    return done.stdout


def decoded(path):
    recv = subprocess.Popen([tap.program("flowrecv"), "--read", str(path)],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    done = subprocess.run([tap.program("flowdecode")], stdin=recv.stdout,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          timeout=60)
    recv.stdout.close()
    recv.wait()
    return done.stdout


@functools.lru_cache
def streams():
    """The streams of all captures that have records, by name."""
    if not msgpack:
        raise tap.Skip("no python3-msgpack")
    if not CORPUS.is_dir():
        raise tap.Skip(f"no corpus at {CORPUS}")
    found = {p.stem: decoded(p) for p in sorted(CORPUS.glob("pcap/*.pcap"))}
    return {name: data for name, data in found.items() if data}


def joined(n=8):
    """The same, so many together."""
    all_of = sorted(streams().items())
    for i in range(n):
        names, data = zip(*all_of[i::n])
        yield " ".join(names), b"".join(data)


def rows(data):
    return [r for b in records.batches(data) for r in b.records()]


def count(data):
    return sum(b.rows for b in records.batches(data))


def test_untouched(scratch):
    """all captures pass byte by byte"""
    for name, data in streams().items():
        assert flowlog(data) == data, name


def test_formats(scratch):
    """every record is in json, csv, tsv and rows as it is in its batch"""
    fields = ["src_addr", "dst_addr", "src_port", "dst_port", "protocol",
              "octet_count", "exporter"]
    for name, data in streams().items():
        want = rows(data)
        lines = flowlog(data, "--format", "json").decode().splitlines()
        tap.equal(len(lines), len(want), f"lines of {name}")
        for line, record in zip(lines, want):
            got = json.loads(line)
            tap.equal(set(got), set(record), f"fields of {name}")
            for k in set(got) & {"src_port", "octet_count", "source_id"}:
                tap.equal(got[k], record[k], f"{name}: {k}")
        args = ("--fields", ",".join(fields), "--format")
        table = list(csv.DictReader(io.StringIO(
            flowlog(data, *args, "csv").decode(), newline="")))
        tap.equal(len(table), len(want), f"csv of {name}")
        for line, record in zip(table, want):
            for k in ("src_port", "octet_count"):
                v = record.get(k)
                tap.equal(line[k], "" if v is None else str(v), f"{name} {k}")
            if isinstance(record.get("src_addr"), int):
                tap.equal(line["src_addr"],
                          str(ipaddress.IPv4Address(record["src_addr"])),
                          f"address of {name}")
        tsv = flowlog(data, *args, "tsv").decode().split("\n")
        tap.equal(len(tsv), len(want) + 2, f"tsv of {name}")
        tap.equal({len(x.split("\t")) for x in tsv[:-1]}, {len(fields)},
                  f"columns of {name}")
        maps = records.objects(flowlog(data, "--format", "rows"))
        tap.equal(len(maps), len(want), f"rows of {name}")
        for got, record in zip(maps, want):
            tap.equal(set(got), {k for k, v in record.items()
                                 if v is not None}, f"row of {name}")


def test_jq(scratch):
    """jq reads all of it"""
    if not shutil.which("jq"):
        raise tap.Skip("no jq")
    data = b"".join(streams().values())
    lines = flowlog(data, "--format", "json")
    done = subprocess.run(["jq", "-c", ".octet_count"], input=lines,
                          stdout=subprocess.PIPE, check=True)
    got = [None if x == b"null" else int(x) for x in done.stdout.split()]
    tap.equal(got, [r.get("octet_count") for r in rows(data)], "octets")


def test_conditions(scratch):
    """what passes a condition, its contrary, or is null for it, is all"""
    conditions = ("dst_port > 1023", "src_addr in 10.0.0.0/8",
                  "protocol == tcp", "bytes > 1K", "flags S or proto udp",
                  "duration > 1s", "source_id == 0", "tos == 0",
                  'str(src_addr) < "2"', 'match(str(dst_addr), "[13579]$")')
    for name, data in joined():
        total = count(data)
        for c in conditions:
            yes = count(flowlog(data, "--where", c))
            no = count(flowlog(data, "--where", f"not ({c})"))
            if c.startswith("flags"):
                assert yes + no <= total, (name, c, yes, no, total)
                continue
            null = count(flowlog(data, "--where", f"isnull({c})"))
            tap.equal(yes + no + null, total, f"{name}: {c}")


def test_steps(scratch):
    """every step leaves streams that can be read and have their numbers"""
    steps = (["--fields", "*_addr,*port,bytes,duration"],
             ["--fields", "-*_time,-src_*"],
             ["--eval", "a = concat(src_addr, \":\", src_port)"],
             ["--eval", "octet_count = octet_count * 8"],
             ["--rename", "octet_count=bytes", "--tag", "site=x"],
             ["--match", "exporter=1$"], ["--source-id", "0,106"],
             ["--exporter", "0.0.0.0/1"])
    for name, data in joined():
        numbers = [b.number for b in records.batches(data)]
        for step in steps:
            got = records.batches(flowlog(data, *step))
            tap.equal([b.number for b in got], numbers, f"{name}: {step}")


def test_nfdump(scratch):
    """flow filters pass as many flows as nfdump's do"""
    peer = netflow.Nfcapd(scratch / "nfcapd")
    options = ("--version", 5, "--flows", 2000, "--seed", 3)
    pcap = scratch / "gen.pcap"
    netflow.generate("--pcap", pcap, *options)
    netflow.generate("--to", f"127.0.0.1:{peer.port}", "--rate", 20000,
                     *options)
    peer.stop()
    data = decoded(pcap)
    for text in ("any", "dst port 443", "port 53", "src net 10.0.0.0/8",
                 "net 10.1.0.0/16 and proto tcp", "not proto udp",
                 "proto tcp and flags S and not flags A", "bytes > 10k",
                 "packets < 3 or bytes > 1m", "src port > 1023",
                 "dst port in [80 443]", "in if 1 or out if 2",
                 "duration > 1000 and proto tcp"):
        said = subprocess.run(
            ["nfdump", "-R", str(peer.folder), "-N", "-o", "raw", text],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        theirs = int(said.split("total flows: ")[1].split(",")[0])
        ours = count(flowlog(data, "--where", f'"{text}"'))
        tap.equal(ours, theirs, text)


tap.main(globals())
