#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Another decoder's word for it: what Wireshark makes of the datagrams of real
exporters, record by record: addresses, ports, counters, times."""
import collections
import csv
import datetime
import json
import os
import pathlib
import socket
import subprocess
import threading
import xml.etree.ElementTree

import netflow
import packets
import softflowd
import tap

CORPUS = pathlib.Path(
    os.environ.get("FLOW_CORPUS", tap.SOURCE.parent / "shared" / "corpus"))

# Wireshark's names of what is compared.
NUMBERS = {
    "cflow.srcport": "src_port", "cflow.dstport": "dst_port",
    "cflow.protocol": "protocol", "cflow.octets": "octet_count",
    "cflow.packets": "packet_count", "cflow.inputint": "input",
    "cflow.outputint": "output", "cflow.tos": "tos",
    "cflow.tcpflags": "tcp_flags", "cflow.srcas": "src_as",
    "cflow.dstas": "dst_as", "cflow.permanent_octets": "octet_total_count",
    "cflow.permanent_packets": "packet_total_count",
    "cflow.sampler_id": "sampler_id", "cflow.flow_id": "flow_id",
    "cflow.flow_end_reason": "flow_end_reason",
    "cflow.post_octets": "post_octet_delta_count",
    "cflow.post_packets": "post_packet_delta_count",
}
ADDRESSES = {
    "cflow.srcaddr": "src_addr_v4", "cflow.srcaddrv6": "src_addr_v6",
    "cflow.dstaddr": "dst_addr_v4", "cflow.dstaddrv6": "dst_addr_v6",
}
UPTIMES = {"cflow.timestart": "first", "cflow.timeend": "last"}
TIMES = {"cflow.abstimestart": "start_time", "cflow.abstimeend": "end_time"}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def milliseconds(text):
    """Of "Sep 13, 2020 12:26:40.123000000 UTC"."""
    whole, fraction = text.removesuffix(" UTC").split(".")
    at = datetime.datetime.strptime(whole, "%b %d, %Y %H:%M:%S")
    since = at.replace(tzinfo=datetime.timezone.utc) - EPOCH
    return since // datetime.timedelta(seconds=1) * 1000 + int(fraction[:3])


def their_record(flow):
    row = {}
    for f in flow.iter("field"):
        name, show = f.get("name"), f.get("show")
        if name in NUMBERS:
            row.setdefault(NUMBERS[name], int(show, 0))
        elif name in ADDRESSES:
            row.setdefault(ADDRESSES[name], show)
        elif name in UPTIMES:
            row.setdefault(UPTIMES[name], round(float(show) * 1000))
        elif name in TIMES:
            row.setdefault(TIMES[name], milliseconds(show))
    # an uptime of 0 beside another one is shown as a time
    if row.get("start_time") == 0 and "first" not in row and "last" in row:
        row["first"] = row.pop("start_time")
    if "first" in row or "last" in row:
        row.pop("start_time", None)
        row.pop("end_time", None)
    return row


def theirs(path):
    """Wireshark's records, of data and of options."""
    netflow.need("tshark")
    p = subprocess.Popen(
        ["tshark", "-r", path, "-d", "udp.port==2055,cflow", "-T", "pdml",
         "-J", "cflow"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "TZ": "UTC"})
    rows = []
    for _, packet in xml.etree.ElementTree.iterparse(p.stdout):
        if packet.tag != "packet":
            continue
        for f in packet.iter("field"):
            if f.get("name") == "" and \
                    f.get("show").startswith(("Flow ", "pdu ")):
                rows.append(their_record(f))
        packet.clear()
    tap.equal(p.wait(timeout=60), 0, "exit code of tshark")
    return rows


def our_record(row):
    """The fields of a row that Wireshark knows, as it has them."""
    got = {name: row[name] for name in (*NUMBERS.values(), *UPTIMES.values())
           if name in row}
    for end in ("src_addr", "dst_addr"):
        values = [row[n] for n in (end, end + "_v4", end + "_v6") if n in row]
        for v in values:
            got.setdefault(end + ("_v6" if ":" in v else "_v4"), v)
    for name in TIMES.values():
        # of both, uptimes are compared
        if name in row and "first" not in row and "last" not in row:
            at = datetime.datetime.fromisoformat(row[name].replace("Z",
                                                                   "+00:00"))
            got[name] = (at - EPOCH) // datetime.timedelta(milliseconds=1)
    return got


def ours(path, scratch):
    stats = scratch / "stats"
    with subprocess.Popen([tap.program("flowrecv"), "--read", path],
                          stdout=subprocess.PIPE) as recv, \
        subprocess.Popen([tap.program("flowdecode"), "--wait=0", "--stats",
                          stats], stdin=recv.stdout, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL) as decode:
        done = subprocess.run([tap.program("flowlog"), "--format", "json"],
                              stdin=decode.stdout, stdout=subprocess.PIPE,
                              check=True, timeout=60)
    return [our_record(json.loads(line)) for line in done.stdout.splitlines()
            ], json.loads(stats.read_text())["total"]


def compare(name, path, scratch):
    """The records that both have; how many."""
    want = theirs(path)
    got, total = ours(path, scratch)
    left = collections.Counter(json.dumps(r, sort_keys=True) for r in want)
    left.subtract(json.dumps(r, sort_keys=True) for r in got)
    wrong = [r for r, n in left.items() if n < 0]
    spare = [r for r, n in left.items() if n > 0]
    if wrong:
        raise AssertionError(f"{name}: {len(wrong)} of {len(got)} records, "
                             f"first {wrong[0]}, but {spare[:3]}")
    # the rest are options
    tap.equal(len(want), len(got) + total["options"], f"{name}: records")
    return len(got)


def test_corpus(scratch):
    """real exporters' records are as Wireshark has them"""
    if not CORPUS.is_dir():
        raise tap.Skip(f"no corpus at {CORPUS}")
    with open(CORPUS / "truth.tsv", newline="") as f:
        names = [r["capture"] for r in csv.DictReader(f, delimiter="\t")
                 if r["class"] == "ok"]
    n = sum(compare(name, CORPUS / "pcap" / f"{name}.pcap", scratch)
            for name in names)
    assert n > 1000, n
    tap.comment(f"{n} records in {len(names)} captures")


def sent_by_softflowd(scratch, version):
    """What softflowd sends, as a capture."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        payloads = []

        def receive():
            while payload := s.recv(65536):
                payloads.append(payload)

        receiver = threading.Thread(target=receive)
        receiver.start()
        softflowd.export(scratch, version, s.getsockname()[1],
                         with_ipv6=version != 5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", s.getsockname())
        receiver.join(timeout=30)
    path = scratch / f"v{version}.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.ipv4(
        packets.udp(p))) for p in payloads]))
    return path


def test_softflowd(scratch):
    """softflowd's records, v5, v9 and IPFIX, are as Wireshark has them"""
    for version in (5, 9, 10):
        path = sent_by_softflowd(scratch, version)
        n = compare(f"version {version}", path, scratch)
        assert n > 300, n
        tap.comment(f"version {version}: {n} records")


tap.main(globals())
