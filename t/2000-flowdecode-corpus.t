#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Real exporters' datagrams through flowrecv | flowdecode | flowlog: counts and
sums equal the corpus' truth, and every record equals its row, field by field.
Captures that are malformed or glued together decode as far as they go."""
import collections
import csv
import datetime
import json
import os
import pathlib
import re
import subprocess

import tap

CORPUS = pathlib.Path(
    os.environ.get("FLOW_CORPUS", tap.SOURCE.parent / "shared" / "corpus"))

# Columns of records/*.tsv that have one field of ours.
PLAIN = {
    "v": "version", "sport": "src_port", "dport": "dst_port",
    "proto": "protocol", "octets": "octet_count", "packets": "packet_count",
    "first": "first", "last": "last", "octetTotalCount": "octet_total_count",
    "initiatorOctets": "initiator_octets",
    "responderOctets": "responder_octets", "srcas": "src_as",
    "dstas": "dst_as", "input": "input", "output": "output",
    "tcpflags": "tcp_flags", "tos": "tos",
}


def truth():
    if not CORPUS.is_dir():
        raise tap.Skip(f"no corpus at {CORPUS}")
    with open(CORPUS / "truth.tsv", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t"))


def pipeline(name):
    """The records of a capture, and the totals of the ledger."""
    with open(CORPUS / "pcap" / f"{name}.pcap", "rb") as capture:
        recv = subprocess.Popen([tap.program("flowrecv"), "--read", "-"],
                                stdin=capture, stdout=subprocess.PIPE)
    decode = subprocess.Popen([tap.program("flowdecode"), "-v"],
                              stdin=recv.stdout, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    log = subprocess.Popen([tap.program("flowlog"), "--format", "json"],
                           stdin=decode.stdout, stdout=subprocess.PIPE,
                           text=True)
    recv.stdout.close()
    decode.stdout.close()
    out, _ = log.communicate(timeout=60)
    errors = decode.stderr.read()
    decode.stderr.close()
    tap.equal((recv.wait(), decode.wait(), log.wait()), (0, 0, 0),
              f"{name}: exit codes ({errors})")
    total = re.search(r"total: (.*)", errors).group(1)
    ledger = collections.Counter(
        {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", total)})
    return [json.loads(line) for line in out.splitlines()], ledger


def check_identity(name, ledger):
    parts = ("decoded", "options", "templates", "expired", "malformed")
    tap.equal(sum(ledger["sets_" + p] for p in parts), ledger["sets"],
              f"{name}: sets")


def check_counts(name, want, rows, ledger):
    got = {
        "datagrams": ledger["datagrams"],
        "templates": ledger["templates"],
        "option_templates": ledger["options_templates"],
        "data_records": len(rows),
        "option_records": ledger["options"],
        "undecodable_sets": ledger["sets_expired"],
        "sum_octets": sum(r.get("octet_count", 0) for r in rows),
        "sum_packets": sum(r.get("packet_count", 0) for r in rows),
    }
    for key, value in got.items():
        tap.equal(value, int(want[key]), f"{name}: {key}")
    tap.equal(ledger["records"], len(rows), f"{name}: records")


def of_family(row, name, v6):
    value = row.get(name + ("_v6" if v6 else "_v4"), row.get(name, ""))
    return value if (":" in value) == v6 else ""


def milliseconds(text):
    """Since 1970, modulo 2^32: the truth's first_ms and last_ms do not take a
    wrapped uptime into account."""
    t = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return str((t - epoch) // datetime.timedelta(milliseconds=1) % 2**32)


def ours(row, want_times):
    """A row of ours in their columns; times only where they have some: ours
    come of options, too."""
    got = {k: str(row.get(v, "")) for k, v in PLAIN.items()}
    for column, name in (("src", "src_addr"), ("dst", "dst_addr")):
        got[column] = of_family(row, name, False)
        got[column + "6"] = of_family(row, name, True)
    for column, name in (("start", "start_time"), ("end", "end_time")):
        given = name in row and want_times
        got[column] = milliseconds(row[name]) if given else ""
    return got


def theirs(row):
    want = {k: row[k] for k in list(PLAIN) + ["src", "dst", "src6", "dst6"]}
    for column, places in (
            ("start", ("flowStartMilliseconds", "flowStartSeconds",
                       "first_ms")),
            ("end", ("flowEndMilliseconds", "flowEndSeconds", "last_ms"))):
        given = [int(row[p]) * (1000 if "Seconds" in p else 1)
                 for p in places if row[p]]
        want[column] = str(given[0] % 2**32) if given else ""
    return want


def check_records(name, rows):
    with open(CORPUS / "records" / f"{name}.tsv", newline="") as f:
        want = [theirs(r) for r in csv.DictReader(f, delimiter="\t")]
    want_times = any(r["start"] or r["end"] for r in want)
    got = [ours(r, want_times) for r in rows]
    key = lambda r: tuple(sorted(r.items()))
    left = collections.Counter(map(key, want))
    left.subtract(collections.Counter(map(key, got)))
    missing = [dict(k) for k, n in left.items() if n > 0]
    excess = [dict(k) for k, n in left.items() if n < 0]
    if missing or excess:
        raise AssertionError(f"{name}: {len(missing)} rows missing, first "
                             f"{missing[:1]}, instead {excess[:1]}")


def scoped(row):
    """The truth with templates scoped by address alone, ours."""
    other = row["if_templates_scoped_by_ip_only"]
    return {**row, **{k: str(v) for k, v in
                      (json.loads(other) if other else {}).items()}}


def check_class(version):
    todo = [r for r in truth()
            if r["class"] == "ok" and r["version"] == version]
    assert todo
    for row in todo:
        name = row["capture"]
        rows, ledger = pipeline(name)
        check_identity(name, ledger)
        check_counts(name, scoped(row), rows, ledger)
        check_records(name, rows)
    tap.comment(f"{len(todo)} captures")


def test_v1(scratch):
    """NetFlow v1 captures give what the one witness that knows v1 says"""
    for row in truth():
        if row["version"] != "1":
            continue
        says = re.search(r"nfcapd .*? \((\d+), (\d+), (\d+)\) vs",
                         row["witness"])
        rows, ledger = pipeline(row["capture"])
        check_identity(row["capture"], ledger)
        tap.equal((len(rows), sum(r["octet_count"] for r in rows),
                   sum(r["packet_count"] for r in rows)),
                  tuple(map(int, says.groups())), row["capture"])
        tap.equal(ledger["sets_malformed"], 0, "malformed")


def test_v5(scratch):
    """NetFlow v5 captures give the truth, record by record"""
    check_class("5")


def test_v9(scratch):
    """NetFlow v9 captures give the truth, record by record"""
    check_class("9")


def test_ipfix(scratch):
    """IPFIX captures give the truth, record by record"""
    check_class("10")


def test_damaged(scratch):
    """malformed and glued captures end well, the ledger adds up"""
    todo = [r for r in truth() if r["class"] != "ok"]
    assert todo
    for row in todo:
        rows, ledger = pipeline(row["capture"])
        check_identity(row["capture"], ledger)
        tap.equal(ledger["datagrams"], int(row["datagrams"]), "datagrams")
        tap.equal(ledger["records"], len(rows), "records")


tap.main(globals())
