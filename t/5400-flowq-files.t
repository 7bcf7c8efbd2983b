#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""flowq over other files than tables: csvfile, jsonfile, system."""
import json
import os
import random
import subprocess

import flowq_rows as fr
import tap

ROW = "{a=%s, b=%s}\n"


def ask(query, *options, root="/nonexistent", **more):
    r = subprocess.run([fr.FLOWQ, "--root", str(root), *options, query],
                       capture_output=True, timeout=60,
                       env=dict(os.environ, TZ="UTC"), **more)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def answer(query, *options, **more):
    rc, out, err = ask(query, *options, **more)
    tap.equal((rc, err), (0, ""), query)
    return out


def refused(query, text, code=1, **more):
    rc, out, err = ask(query, **more)
    tap.equal((rc, out), (code, ""), query)
    assert text in err and err.startswith("flowq: "), err


def test_round_trip(root):
    """what flowq writes as csv and json it reads back the same"""
    fr.store(str(root), "t", fr.random_rows(9000, 5))
    want = answer("table t", root=root)
    for form, source in ("csv", "csvfile"), ("json", "jsonfile"):
        path = root / f"rows.{form}"
        path.write_text(answer("table t", "--format", form, root=root))
        tap.equal(answer(f"{source} {path}"), want, source)
        for query in ("stats count, sum(octet_count), min(src_addr), "
                      "max(_time) by protocol",
                      "search src_addr in 10.1.0.0/16 and dst_port == 443 | "
                      "sort limit=20 -octet_count, src_port",
                      "search tcp_flags has syn | stats count"):
            tap.equal(answer(f"{source} {path} | {query}"),
                      answer(f"table t | {query}", root=root), query)


def test_pipe(root):
    """- is standard input, which may be a pipe"""
    text = b"a,b\n1,x\n2,y\n"
    tap.equal(answer("csvfile -", input=text), ROW % (1, "x") + ROW % (2, "y"))
    tap.equal(answer("csvfile /dev/stdin | stats sum(a)", input=text),
              "{sum(a)=3}\n")


def test_csv_forms(root):
    """separators, quotes, CR LF, a byte order mark, short and long records"""
    path = root / "f"
    for text, want in (
            ("a,b\n1,x\n", ROW % (1, "x")),
            ("a;b\r\n1;x\r\n", ROW % (1, "x")),
            ("a\tb\n1\tx", ROW % (1, "x")),
            ("a|b\n1|x\n", ROW % (1, "x")),
            ("\ufeffa,b\n1,x\n", ROW % (1, "x")),
            ('"a","b"\n"1","x"\n', ROW % (1, "x")),
            ('a,b\n1,"x,""y""\nz"\n', ROW % (1, 'x,"y"\\nz')),
            ("a,b\n1\n\n2,\n", ROW % (1, "null") + ROW % (2, "null")),
            ('a,b\n1,""\n2,z\n', ROW % (1, "") + ROW % (2, "z")),
            ('a,b\n1,\n"",3\n', ROW % (1, "null") + ROW % ("null", 3)),
            ("a,b\n", ""), ("a,b", ""), ("", ""),
            ("b,a\nx,1\n", ROW % (1, "x")),
            ("a,a,\n1,2,3\n", "{a=1, a_2=2, column_3=3}\n"),
            ("a\n1\n\n2\n", "{a=1}\n{a=null}\n{a=2}\n")):
        path.write_text(text, newline="")
        tap.equal(answer(f"csvfile {path}"), want, repr(text))
    path.write_text("1,x\n")
    tap.equal(answer(f"csvfile header=f {path}"), "{column_1=1, column_2=x}\n")
    path.write_text("a,b:c\n1,2:3\n")
    tap.equal(answer(f'csvfile sep=":" {path}'), "{a,b=1,2, c=3}\n")
    path.write_text('a,b\n1,2,3\n4,"x"y\n')
    rc, out, err = ask(f"csvfile {path}")
    tap.equal((rc, out), (0, ROW % (1, "2") + ROW % (4, '"x"y')))
    assert "records that are not as the first line says: 2" in err, err


def test_types(root):
    """a column has the narrowest type that all its values are of"""
    path = root / "f"
    for values, want in (
            (["1", "2"], "integer"), (["-1", "2"], "integer"),
            (["1", "2.5"], "real"), (["1e3", "-4"], "real"),
            (["18446744073709551615", "1"], "integer"),
            (["18446744073709551615", "-1"], "real"),
            (["true", "false"], "boolean"), (["true", "1"], "string"),
            (["10.0.0.1", "10.0.0.2"], "ipv4"), (["10.0.0.1", "::1"], "ip"),
            (["00:11:22:33:44:55"] * 2, "mac"),
            (["2026-11-23T10:00:00Z", "2026-11-23"], "time"),
            (["007", "008"], "string"), (["1", "x"], "string"),
            (["nan", "1"], "real"), (["0x10", "1"], "string"),
            (["1.2.3", "1"], "string"), (["--1", "1"], "string")):
        path.write_text("v\n" + "\n".join(values) + "\n")
        tap.equal(answer(f"csvfile {path} | stats count by typeof(v) as t"),
                  "{count=2, t=%s}\n" % want, str(values))


def test_json_forms(root):
    """lines, arrays, objects inside, escapes; what is no object is counted"""
    path = root / "f"
    for text, want in (
            ('{"a":1,"b":"x"}\n', ROW % (1, "x")),
            ('[{"a":1,"b":"x"},\n {"b":"y","a":2}]', ROW % (1, "x") +
             ROW % (2, "y")),
            ('{"a":1}{"b":2}', ROW % (1, "null") + ROW % ("null", 2)),
            ('{"a":{"b":1,"c":{"d":null}}}', "{a.b=1, a.c.d=null}\n"),
            ('{"a":[1,{"x":"]"}]}', '{a=[1,{"x":"]"}]}\n'),
            ('{"a":"\\u00e9\\ud83d\\ude00\\n\\ud800"}',
             "{a=\u00e9\U0001f600\\n\ufffd}\n"),
            ('{"a":true}\n{"a":null}', "{a=true}\n{a=null}\n"),
            ('{"a":"1"}', "{a=1}\n"), ("{}\n{}", "{}\n{}\n"),
            ("", ""), ("[]", ""), ("\n\n", ""),
            ('{"a":1,"a":2}', "{a=2}\n")):
        path.write_text(text)
        tap.equal(answer(f"jsonfile {path}"), want, text)
    path.write_text('{"a":"1"}')
    tap.equal(answer(f"jsonfile {path} | fields typeof(a) as t"), "{t=string}\n")
    path.write_text('{"a":1}\noops\n{"a":2\n{"a":3}\n{"a":')
    rc, out, err = ask(f"jsonfile {path}")
    tap.equal((rc, out), (0, "{a=1}\n{a=3}\n"))
    assert "lines that are no JSON object were skipped: 3, the first is " \
        "line 2" in err, err


def test_refused(root):
    """files that are not there, no files, or hopeless, are errors"""
    path = root / "f"
    refused(f"csvfile {root}/absent", "cannot open")
    refused(f"csvfile {root}", "is a directory")
    path.write_text('a,b\n1,"x\n')
    refused(f"csvfile {path}", "line 2: a quote that is not closed")
    path.write_text("no json\nat all\n")
    refused(f"jsonfile {path}", "line 1 is no JSON object")
    path.write_text("a," * 2000 + "\n")
    refused(f"csvfile {path}", "more than 1024 fields")
    path.write_text("a\n" + "x" * (17 << 20))
    refused(f"csvfile {path}", "record at line 2 is longer than 16 MiB")
    path.write_text('{"a":' * 70 + "1" + "}" * 70)
    refused(f"jsonfile {path}", "is no JSON object")
    path.write_text('{"a":"' + "x" * (17 << 20))
    refused(f"jsonfile {path}", "longer than 16 MiB")
    if os.geteuid():
        path.chmod(0)
        refused(f"csvfile {path}", "Permission denied")


def test_hostile(root):
    """bytes of all kinds give an answer or an error, and a safe terminal"""
    rng = random.Random(11)
    seeds = [b'a,"b ""c""",d\n1,2.5,10.0.0.1\n', b"\xff\xfe\x00a,b\n\x1b[31m,1",
             b'[{"a":{"b":[1,2]},"c":"\\u001b[31m"}]', b'{"x":1e999,"y":-0}\n']
    path = root / "f"
    for i in range(60):
        data = bytearray(rng.choice(seeds) * rng.choice([1, 3]))
        for _ in range(rng.randrange(6)):
            data[rng.randrange(len(data))] = rng.choice(
                b'",;{}[]\\\n\r\t\x00\x1b\x9b0-x')
        path.write_bytes(data)
        for source in "csvfile", "jsonfile":
            rc, out, err = ask(f"{source} {path}", "--format", "table")
            assert rc in (0, 1), (rc, data, err)
            assert not any(ord(c) < 32 and c != "\n" or 0x7f <= ord(c) < 0xa0
                           for c in out + err), (data, out, err)


def test_memory(root):
    """blocks are read one by one: memory stays small for a large file"""
    path = root / "f"
    with open(path, "w") as f:
        f.write("a,b\n")
        for i in range(300000):
            f.write(f"{i},{'text' * 20}{i % 7}\n")
    out = subprocess.run(["/usr/bin/python3", "-c", """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
""", fr.FLOWQ, f"csvfile {path} | stats count, sum(a) by b"],
                         capture_output=True, text=True, check=True).stdout
    lines = out.splitlines()
    tap.equal(len(lines), 8, "rows")
    if "asan" not in fr.BUILD:
        assert int(lines[-1]) < 90000, f"{lines[-1]} KiB for 27 MB"


def test_system(root):
    """system tables, count and disk tell what lies there"""
    fr.store(str(root), "flows", fr.random_rows(500, 1))
    fr.store(str(root), "flows", fr.random_rows(300, 2))
    fr.store(str(root), "text", [{"_time": 1795428000000000, "name": "x"}])
    rows = [json.loads(line) for line in
            answer("system tables", "--format", "json", root=root).splitlines()]
    tap.equal([(r["table"], r["rows"], r["problem"]) for r in rows],
              [("flows", 800, None), ("text", 1, None)])
    tap.equal(rows[1]["oldest"], "2026-11-23T10:00:00Z")
    assert rows[0]["bytes"] > 4096 and rows[0]["blocks"] >= 2, rows
    tap.equal(answer("system count", root=root),
              "{count=800, table=flows}\n{count=1, table=text}\n")
    tap.equal(answer("system count | stats sum(count)", root=root),
              "{sum(count)=801}\n")
    disk = json.loads(answer("system disk", "--format", "json", root=root))
    tap.equal((disk["root"], disk["tables"]), (str(root), 2))
    tap.equal(disk["bytes"], sum(r["bytes"] for r in rows), "bytes of tables")
    assert 0 < disk["disk_free"] <= disk["disk_size"], disk
    with open(root / "text" / "00000001.flow", "r+b") as f:
        f.write(b"x" * 8192)
    out = answer("system tables | search isnotnull(problem) | fields table, "
                 "rows, problem", root=root)
    assert out.startswith("{problem=table text") and "rows=null" in out, out
    empty = root / "empty"
    empty.mkdir()
    tap.equal(answer("system tables | stats count", root=empty), "{count=0}\n")
    tap.equal(answer("system count", root=empty), "")


def test_states(root):
    """system exporters and loggers read the states that others keep"""
    ledger = root / "stats.json"
    pcap = root / "flows.pcap"
    subprocess.run([tap.program("gen"), "--pcap", str(pcap), "--flows", "50"],
                   check=True)
    received = subprocess.run([tap.program("flowrecv"), "--read", str(pcap)],
                              stdout=subprocess.PIPE, check=True).stdout
    subprocess.run([tap.program("flowdecode"), "--stats", str(ledger)],
                   input=received, stdout=subprocess.DEVNULL, check=True)
    tap.equal(answer(f"system exporters stats={ledger} | fields version"),
              "{version=9}\n")
    ledger.write_text('{"time": 1, "exporters": [{"exporter": "10.0.0.1", '
                      '"version": 9, "received": 5},\n{"exporter": "::1", '
                      '"version": 10, "received": 7}], "pid": 5}\n')
    tap.equal(answer(f"system exporters stats={ledger} | stats sum(received)"),
              "{sum(received)=12}\n")
    tap.equal(answer(f"system exporters stats={ledger} | search exporter == "
                     "10.0.0.1 | fields version"), "{version=9}\n")
    loggers = root / "loggers"
    loggers.mkdir()
    for name in "b", "a":
        (loggers / f"{name}.json").write_text('{"name": "%s"}\n' % name)
    (loggers / "other").write_text("no")
    tap.equal(answer(f"system loggers stats={loggers}"),
              "{name=a}\n{name=b}\n")
    refused(f"system exporters stats={root}/absent",
            f"cannot read {root}/absent (flowdecode --stats FILE writes it; "
            "stats=FILE says where it is): No such file or directory")
    refused(f"system loggers stats={root}/absent", "flowlog keeps it for "
            "loggers; stats=DIRECTORY says where it is): No such file")
    refused(f"system exporters stats={loggers}/a.json", "has no exporters")
    refused("system nothing", "expected tables, count", code=2)


tap.main(globals())
