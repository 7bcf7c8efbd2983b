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
import struct
import subprocess

import tap

try:
    import msgpack
except ImportError:
    msgpack = None

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


def pipeline(name, *options):
    """The records of a capture, and the totals of the ledger."""
    with open(CORPUS / "pcap" / f"{name}.pcap", "rb") as capture:
        recv = subprocess.Popen([tap.program("flowrecv"), "--read", "-"],
                                stdin=capture, stdout=subprocess.PIPE)
    decode = subprocess.Popen([tap.program("flowdecode"), "-v", *options],
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
    parts = ("decoded", "options", "templates", "waiting", "expired",
             "malformed")
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
        rows, ledger = pipeline(name, "--wait", "0")
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


def test_scope(scratch):
    """by port, the truth is that of exporters with ports"""
    for row in truth():
        if row["class"] == "ok" and row["if_templates_scoped_by_ip_only"]:
            rows, ledger = pipeline(row["capture"], "--wait", "0",
                                    "--template-scope", "port")
            check_identity(row["capture"], ledger)
            check_counts(row["capture"], row, rows, ledger)


def test_damaged(scratch):
    """malformed and glued captures end well, the ledger adds up"""
    todo = [r for r in truth() if r["class"] != "ok"]
    assert todo
    for row in todo:
        rows, ledger = pipeline(row["capture"])
        check_identity(row["capture"], ledger)
        tap.equal(ledger["datagrams"], int(row["datagrams"]), "datagrams")
        tap.equal(ledger["records"], len(rows), "records")


def datagrams(name):
    """Exporter and payload of each, as flowrecv has them."""
    with open(CORPUS / "pcap" / f"{name}.pcap", "rb") as capture:
        done = subprocess.run([tap.program("flowrecv"), "--read", "-"],
                              stdin=capture, stdout=subprocess.PIPE,
                              check=True)
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 28)
    unpacker.feed(done.stdout)
    for d in unpacker:
        yield d[5], d[7]


def walk(payload):
    """The sets of a v9 or IPFIX datagram: id and body."""
    at = 20 if payload[1] == 9 else 16
    while at + 4 <= len(payload):
        number, size = struct.unpack_from(">HH", payload, at)
        if size < 4 or at + size > len(payload):
            return
        yield number, payload[at + 4:at + size]
        at += size


def definitions(version, number, body):
    """Templates in a set: id, lengths of the fields."""
    at, options = 0, number == (1 if version == 9 else 3)
    while at + 4 <= len(body):
        name, n = struct.unpack_from(">HH", body, at)
        at += 4
        if options and version == 9:
            n = (n + struct.unpack_from(">H", body, at)[0]) // 4
        at += 2 if options else 0
        lengths = []
        for _ in range(n if name else 0):
            if at + 4 > len(body):
                return
            element, length = struct.unpack_from(">HH", body, at)
            at += 8 if version == 10 and element & 0x8000 else 4
            lengths.append(length)
        if name:
            yield name, lengths, options


def records_in(body, lengths):
    """How many records of these lengths are in a set."""
    at, n = 0, 0
    while True:
        for length in lengths:
            if length == 65535 and at < len(body):
                length = body[at]
                at += 1
                if length == 255:
                    length = int.from_bytes(body[at:at + 2], "big")
                    at += 2
            at += length
        if at > len(body) or not any(lengths):
            return n
        n += 1
        if at == len(body):
            return n


def late(name):
    """By a walk of its own through a capture, what comes late: sets that a
    template follows, the records in them, of data and of options, and the
    sets that none follows."""
    known, waiting = set(), collections.defaultdict(list)
    sets, records = 0, {False: 0, True: 0}
    for source, payload in datagrams(name):
        version = int.from_bytes(payload[:2], "big")
        if version not in (9, 10):
            continue
        domain = payload[16:20] if version == 9 else payload[12:16]
        for number, body in walk(payload):
            exporter = (source, version, domain)
            if number >= 256 and (exporter, number) not in known:
                waiting[exporter, number].append(body)
            if number >= 4:
                continue
            for template, lengths, options in definitions(version, number,
                                                          body):
                known.add((exporter, template))
                for held in waiting.pop((exporter, template), []):
                    sets += 1
                    records[options] += records_in(held, lengths)
    return (sets, records[False], records[True],
            sum(map(len, waiting.values())))


def what_was_sent(row):
    """All of a record that does not depend on options, which may be late,
    too."""
    return tuple(sorted((k, str(v)) for k, v in row.items()
                 if not k.startswith("sampling_")
                 and k not in ("start_time", "end_time")))


def test_waiting(scratch):
    """with waiting, exactly what came late is added"""
    added = 0
    if not msgpack:
        raise tap.Skip("python3-msgpack is not installed")
    for row in truth():
        if row["class"] != "ok" or row["version"] not in ("9", "10"):
            continue
        name = row["capture"]
        before, without = pipeline(name, "--wait", "0")
        after, ledger = pipeline(name)
        sets, data, options, left = late(name)
        check_identity(name, ledger)
        tap.equal(without["sets_expired"], sets + left, f"{name}: late sets")
        tap.equal(ledger["sets_waiting"], left, f"{name}: left")
        tap.equal(ledger["sets_expired"], 0, f"{name}: given up")
        tap.equal(len(after), len(before) + data, f"{name}: records")
        tap.equal(ledger["options"], without["options"] + options,
                  f"{name}: options")
        for count in ("gaps", "missing", "reordered", "restarts"):
            tap.equal(ledger[count], without[count], f"{name}: {count}")
        more = collections.Counter(map(what_was_sent, after))
        more.subtract(map(what_was_sent, before))
        assert min(more.values(), default=0) >= 0, f"{name}: rows are gone"
        added += data
    assert added > 0
    tap.comment(f"{added} records came late")


tap.main(globals())
