#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Text from the wire with control bytes or bad UTF-8: interface names and
application names, in records and announced in options, through every program
and format to where people and programs read it."""
import csv
import io
import json
import os
import pty
import re
import struct
import subprocess

import packets
import pipeline
import tap

NASTY = [
    b"plain", b"Gi0/1", b"\x1b[2J\x1b]0;owned\x07", b"a\nb", b"a\r\nb", b"a\tb",
    b"\x7f\x08\x08", b"\xc2\x9b31m", b"\xff", b"\xc3", b"\xe2\x82", b"\xc0\x80",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'"', b'",1\n', b"'", b"a,b", b"\\",
    b"\\n", b"{\"a\":1}", "Zürich €🐴".encode(), "\u202egnp.exe".encode(),
    b"=1+1", b"a\0b", b"x" * 255,
]
REPLACED = "\ufffd"
# what no output may have besides the newlines of its own
CONTROL = "[\0-\x09\x0b-\x1f\x7f-\x9f]"


def variable(text):
    return struct.pack(">BH", 255, len(text)) + text


def set_of(number, body):
    return struct.pack(">HH", number, 4 + len(body)) + body


def options(number, field, name):
    """An options template whose scope is a number of 4 bytes, which gives it
    a name, and one such record for each text."""
    head = struct.pack(">HHHHHHH", number, 2, 1, field, 4, name, 65535)
    return set_of(3, head) + set_of(number, b"".join(
        struct.pack(">I", i) + variable(t) for i, t in enumerate(NASTY)))


def datagram():
    fields = ((10, 4), (95, 4), (82, 65535), (1, 4))
    template = struct.pack(">HH", 256, len(fields)) + b"".join(
        struct.pack(">HH", *f) for f in fields)
    records = b"".join(struct.pack(">II", i, i) + variable(t) +
                       struct.pack(">I", i) for i, t in enumerate(NASTY))
    body = options(500, 10, 82) + options(501, 95, 96) + \
        set_of(2, template) + set_of(256, records)
    return struct.pack(">HHIII", 10, 16 + len(body), 1700000000, 0, 1) + body


def utf8(raw):
    """Each byte that is no UTF-8 becomes U+FFFD."""
    out = ""
    while raw:
        try:
            return out + raw.decode()
        except UnicodeDecodeError as e:
            out += raw[:e.start].decode() + REPLACED
            raw = raw[e.start + 1:]
    return out


def name(raw):
    """A name as flowdecode keeps it."""
    text = re.sub("[\0-\x1f\x7f-\x9f]", REPLACED, utf8(raw.split(b"\0")[0]))
    while len(text.encode()) > 252:
        text = text[:-1]
    return text


def datagrams(scratch):
    path = scratch / "text.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.ipv4(
        packets.udp(datagram())))]))
    code, out, err = pipeline.stream(["flowrecv", "--read", path], b"")
    tap.equal((code, err), (0, ""), "flowrecv --read")
    return out


def records(scratch):
    code, out, err = pipeline.stream(["flowdecode"], datagrams(scratch))
    tap.equal((code, err), (0, ""), "flowdecode")
    return out


def flowlog(scratch, form):
    code, out, err = pipeline.stream(
        ["flowlog", "--format", form, "--fields",
         "octet_count,input_name,application_name,interface_name"],
        records(scratch))
    tap.equal((code, err), (0, ""), "flowlog")
    return out.decode()


def store(scratch):
    code, _, err = pipeline.stream(
        ["flowstore", "--root", scratch / "tables", "t"], records(scratch))
    tap.equal((code, err), (0, ""), "flowstore")


def flowq(scratch, form):
    code, out, err = pipeline.stream(
        ["flowq", "--root", scratch / "tables", "--format", form,
         "table t | sort octet_count | fields octet_count, input_name, "
         "application_name, interface_name"], b"")
    tap.equal((code, err), (0, ""), "flowq")
    return out.decode()


def none(text, pattern, what):
    tap.equal(re.findall(pattern, text), [], f"control characters in {what}")


def check_json(text, what):
    rows = [json.loads(line) for line in text.split("\n")[:-1]]
    tap.equal([r["octet_count"] for r in rows], list(range(len(NASTY))), what)
    for field in ("input_name", "application_name"):
        tap.equal([r[field] for r in rows], [name(t) for t in NASTY],
                  f"{field} in {what}")
    tap.equal([r["interface_name"] for r in rows], [utf8(t) for t in NASTY],
              f"interface_name in {what}")
    none(text, CONTROL, what)


def check_csv(text, what):
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for field in ("input_name", "application_name"):
        tap.equal([r[field] for r in rows], [name(t) for t in NASTY],
                  f"{field} in {what}")
    keep = [re.sub("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", REPLACED, utf8(t))
            for t in NASTY]
    tap.equal([r["interface_name"] for r in rows], keep,
              f"interface_name in {what}")
    none(text, "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", what)


def check_tsv(text, what):
    lines = text.split("\n")
    tap.equal(len(lines), len(NASTY) + 2, f"lines of {what}")
    tap.equal({line.count("\t") for line in lines[:-1]}, {3}, "tabs a line")
    at = lines[0].split("\t").index("input_name")
    tap.equal([line.split("\t")[at] for line in lines[1:-1]],
              [name(t).replace("\\", "\\\\") for t in NASTY],
              f"input_name in {what}")
    none(text, CONTROL.replace("\x09", "\x08"), what)


def test_flowlog_json(scratch):
    """flowlog, json: valid, one line a record, nothing a terminal acts on"""
    check_json(flowlog(scratch, "json"), "flowlog's json")


def test_flowlog_csv(scratch):
    """flowlog, csv: what Python's csv reads is what was sent"""
    check_csv(flowlog(scratch, "csv"), "flowlog's csv")


def test_flowlog_tsv(scratch):
    """flowlog, tsv: one line a record, three tabs in each"""
    check_tsv(flowlog(scratch, "tsv"), "flowlog's tsv")


def test_flowq_json(scratch):
    """flowq, json: the same out of a table"""
    store(scratch)
    check_json(flowq(scratch, "json"), "flowq's json")


def test_flowq_csv(scratch):
    """flowq, csv: the same out of a table"""
    store(scratch)
    check_csv(flowq(scratch, "csv"), "flowq's csv")


def test_flowq_text(scratch):
    """flowq, rows and tables: one line a record, nothing a terminal acts on"""
    store(scratch)
    for form, head in (("row", 0), ("table", None)):
        text = flowq(scratch, form)
        none(text, CONTROL, f"flowq's {form}")
        if head is not None:
            tap.equal(text.count("\n"), len(NASTY) + head, f"lines of {form}")


def test_flowq_by_name(scratch):
    """flowq: names are for searching and grouping"""
    store(scratch)
    row, = pipeline.query(scratch / "tables",
                          'table t | search input_name == "Gi0/1" '
                          '| stats count, sum(octet_count) as n by input_name')
    tap.equal(row, {"count": 1, "n": 1, "input_name": "Gi0/1"}, "row")


def test_terminal(scratch):
    """flowdecode on a terminal: lines of JSON, nothing that it acts on"""
    data = datagrams(scratch)
    master, slave = pty.openpty()
    p = subprocess.Popen([tap.program("flowdecode")], stdin=subprocess.PIPE,
                         stdout=slave, stderr=subprocess.PIPE)
    os.close(slave)
    p.stdin.write(data)
    p.stdin.close()
    text = b""
    while True:
        try:
            text += os.read(master, 65536)
        except OSError:
            break
    tap.equal((p.stderr.read(), p.wait(timeout=30)), (b"", 0), "flowdecode")
    text = text.decode().replace("\r\n", "\n")
    check_json(text, "JSON on a terminal")


def test_log(scratch):
    """messages about what was typed: control bytes do not come through"""
    bad = "\x1b[2J\x9b"
    for command in (["flowrecv", "--read", bad], ["flowlog", "--format", bad],
                    ["flowdecode", "--names", bad], ["flowq", bad]):
        code, out, err = pipeline.stream(command, b"")
        assert code in (1, 2), (command, code)
        none(out.decode(errors="surrogateescape") + err, CONTROL, command[0])


tap.main(globals())
