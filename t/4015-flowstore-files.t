#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# flowstore export and import: CSV, JSON, msgpack, and the CSV of nfdump.
import csv
import io
import ipaddress
import json
import os
import random
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from records import All, batch, batches  # noqa: E402
from tables import STORE, Store, command, rows, store, until  # noqa: E402

rnd = random.Random(41)
T0 = 1795000000000000
NASTY = ["", "a,b", 'quo"te', "line\nbreak", "tab\t", "äöü", "007", "true",
         "{x", "[y", "null", " lead", "\\n"]


def part(n, number=0, stream=0):
    return batch(n, {
        "_time": ("time", [T0 + i * 333 for i in range(n)]),
        "src_addr": ("ipv4", [rnd.getrandbits(32) for _ in range(n)]),
        "exporter": ("ip", [b"\x20\x01" + rnd.randbytes(14)
                            for _ in range(n)]),
        "octet_count": ("u64", [rnd.getrandbits(rnd.randrange(1, 64))
                                for _ in range(n)]),
        "delta": ("i64", [rnd.getrandbits(40) - 2**39 for _ in range(n)]),
        "load": ("f64", [rnd.random() * 10**rnd.randrange(-5, 9)
                         for _ in range(n)]),
        "mine": ("bool", [rnd.random() < 0.5 for _ in range(n)]),
        "src_mac_address": ("mac", [rnd.getrandbits(48) for _ in range(n)]),
        "start_time": ("time", [T0 - i * 1000 for i in range(n)]),
        "interface_name": ("string", [rnd.choice(NASTY) for _ in range(n)]),
        "e9_7": ("bytes", [rnd.randbytes(rnd.randrange(9))
                           for _ in range(n)]),
        "tos": ("u8", [None if rnd.random() < 0.3 else 184
                       for _ in range(n)]),
    }, number, stream)


def other(n):
    return batch(n, {"_time": ("time", All(T0)),
                     "next_hop": ("ipv4", [i for i in range(n)])}, 0, 0)


def plain(r, drop=("_id",)):
    """A record whatever the widths of its types are."""
    return {k: v for k, v in r.items() if k not in drop and v is not None}


def test_round_trip(root):
    """a table comes back through each format"""
    store(root, part(3000) + other(50) + part(500))
    want = [plain(r) for r in rows(root)]
    for form in ("json", "msgpack", "csv"):
        path = root / ("x." + form)
        n = len(want)
        tap.equal(command(root, "export", "t", str(path)),
                  (0, "t: %d records exported\n" % n, ""), form)
        tap.equal(path.stat().st_mode & 0o777, 0o640, "mode")
        tap.equal(command(root, "import", form, str(path)),
                  (0, "%s: %d records imported\n" % (form, n), ""), form)
        got = [plain(r) for r in rows(root, form)]
        # shapes are stored one after another
        key = repr
        if form == "csv":
            # an empty string is "" there, bytes of no length are null
            for r in want + got:
                if r.get("e9_7") == b"":
                    del r["e9_7"]
        a, b = sorted(map(key, map(tidy, got))), sorted(map(key,
                                                            map(tidy, want)))
        for x, y in zip(a, b):
            assert x == y, (form, x, y)
        tap.equal(len(a), len(b), form)


def tidy(r):
    return dict(sorted((k, bool(v) if k == "mine" else v)
                       for k, v in r.items() if v != b""))


def test_text(root):
    """the text is what CSV and JSON readers make sense of"""
    store(root, part(200) + other(3))
    want = {r["_id"]: r for r in rows(root)}
    out = command(root, "export", "t")[1]
    got = list(csv.DictReader(io.StringIO(out, newline="")))
    tap.equal(len(got), 203, "CSV rows")
    tap.equal(list(got[0])[:2], ["_id", "_time"], "columns")
    for r in got:
        w = want[int(r["_id"])]
        tap.equal(r["octet_count"], str(w.get("octet_count") or "") if
                  w.get("octet_count") != 0 else "0", "octets")
        if "src_addr" in w:
            tap.equal(r["src_addr"], str(ipaddress.IPv4Address(
                w["src_addr"])), "address")
            tap.equal(r["interface_name"].replace("�", "\\"),
                      w["interface_name"].replace("�", "\\"), "text")
    out = command(root, "export", "t", "--format", "json")[1]
    got = [json.loads(line) for line in out.splitlines()]
    tap.equal(len(got), 203, "JSON rows")
    for r in got:
        w = want[r["_id"]]
        tap.equal(r.get("octet_count"), w.get("octet_count"), "octets")
        tap.equal(r.get("interface_name"), w.get("interface_name"), "text")
        tap.equal(set(r), set(w), "names")
    p = subprocess.run([STORE, "--root", str(root), "export", "t",
                        "--format", "msgpack"], capture_output=True)
    tap.equal(sum(b.rows for b in batches(p.stdout)), 203, "msgpack rows")


def test_export_files(root):
    """files are not replaced unasked, and none is left after an error"""
    store(root, part(10))
    path = root / "x.csv"
    path.write_text("precious")
    status, out, err = command(root, "export", "t", str(path))
    assert status == 1 and "is there already" in err, err
    tap.equal(path.read_text(), "precious", "the file")
    tap.equal(command(root, "export", "t", str(path), "--yes")[0], 0, "yes")
    status, out, err = command(root, "export", "u", str(root / "y"))
    assert status == 1 and "no table u" in err and not \
        (root / "y").exists(), err
    status, out, err = command(root, "export", "t", "--format", "xml")
    assert status == 2 and "no format 'xml'" in err, err
    status, out, err = command(root, "export", "t", "/dev/full", "--yes")
    assert status == 1 and "/dev/full" in err, err
    assert os.path.exists("/dev/full")
    # files of others with names like ours stay as they are
    for name in ("w.csv.part", "w.csv.XXXXXX"):
        (root / name).write_text(name)
    tap.equal(command(root, "export", "t", str(root / "w.csv"))[0], 0, "w")
    tap.equal(sorted(f.name for f in root.glob("w.csv*")),
              ["w.csv", "w.csv.XXXXXX", "w.csv.part"], "files")
    tap.equal((root / "w.csv.part").read_text(), "w.csv.part", "the other")
    assert (root / "w.csv").stat().st_mode & 0o027 == 0, "mode"
    (root / "v.csv").symlink_to(root / "nowhere")
    status, out, err = command(root, "export", "t", str(root / "v.csv"))
    assert status == 1 and "is there already" in err, err
    assert not (root / "nowhere").exists()
    flow = root / "t" / "00000001.flow"
    data = bytearray(flow.read_bytes())
    for i in range(16384, len(data), 50):
        data[i] ^= 1
    flow.write_bytes(data)
    status, out, err = command(root, "export", "t", str(root / "z.csv"))
    assert status == 1 and "00000001.flow" in err, err
    tap.equal(list(root.glob("z.csv*")), [], "files")


def test_export_stopped(root):
    """a signal ends an export, and nothing of it is left"""
    data = batch(60000, {"x": ("u64", [rnd.getrandbits(64)
                                       for _ in range(60000)])}, 0, 0)
    store(root, data * 16)
    for sig in (signal.SIGINT, signal.SIGTERM):
        p = subprocess.Popen([STORE, "--root", str(root), "export", "t",
                              str(root / "x.csv")], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        until(lambda: list(root.glob("x.csv*")))
        p.send_signal(sig)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 1 and b"stopped by a signal" in err, err
        tap.equal(list(root.glob("x.csv*")), [], "files")


def load(root, text, *args, table="t"):
    data = text if isinstance(text, bytes) else text.encode()
    return command(root, "import", table, *args, data=data)


def test_types(root):
    """values get the types that they look like, or that their names have"""
    tap.equal(load(root, "sourceIPv4Address,L4_DST_PORT,x,y,z,_time,code,"
                         "interface_name\n"
                         "10.0.0.1,443,-5,2.5,true,2026-11-24T10:00:00Z,007,"
                         "12\n"
                         "::1,,,,,2026-11-24T10:00:01Z,a,\n"),
              (0, "t: 2 records imported\n", ""), "import")
    got = rows(root)
    tap.equal({k: v for k, v in got[0].items() if k != "_id"},
              {"src_addr": 0x0a000001, "dst_port": 443, "x": -5, "y": 2.5,
               "z": 1, "code": "007", "interface_name": "12",
               "_time": 1795514400000000}, "types")
    tap.equal(got[1]["src_addr"], bytes(15) + b"\1", "IPv6")


def test_json_forms(root):
    """objects a line, in an array, nested, with blanks and escapes"""
    for i, text in enumerate((
            '\ufeff{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n',
            '{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n',
            '[{"a":1,"b":"x"},\n {"a":2,"b":"y"}]',
            '  {"a" : 1 , "b":"\\u0078"}{"b":"\\u0079","a":2,"c":null}',
            '{"a":1,"b":"x"}\r\n\r\n{"a":2,"b":"y"}')):
        tap.equal(load(root, text, table="t%d" % i)[0], 0, text)
        tap.equal([(r["a"], r["b"]) for r in rows(root, "t%d" % i)],
                  [(1, "x"), (2, "y")], text)
    load(root, '{"a":{"b":{"c":5}},"l":[1,2]}', table="u")
    r = rows(root, "u")[0]
    tap.equal((r["a.b.c"], r["l"]), (5, "[1,2]"), "nested")


def test_bad_records(root):
    """what is no record is skipped, counted and told"""
    status, out, err = load(root, '{"a":1}\nnonsense\n{"a":2}\n{"a":\n')
    tap.equal((status, out), (1, "t: 2 records imported\n"), err)
    assert "2 records skipped, the first is record 2" in err, err
    status, out, err = load(root, "a,b\n1,2\n3\n4,5,6\n7,8\n", table="u")
    tap.equal((status, out), (1, "u: 2 records imported\n"), err)
    assert "2 records skipped, the first is record 3: it has 1 values, not " \
        "2" in err, err
    status, out, err = load(root, 'a,b\n1,2\n"3,4\n', table="v")
    assert status == 1 and "a quote that is not closed" in err, err
    assert "v: 1 records imported" in out, out
    status, out, err = load(root, "x" * 70 + "\n1\n", table="w")
    assert status == 1 and "longer than 63 bytes" in err, err
    for name, text, why in (
            ("d", "a,b,a\n1,2,3\n", "columns 1 (a) and 3 (a) are the same"),
            ("e", "src_addr,sourceIPv4Address\n1.1.1.1,2.2.2.2\n",
             "and 2 (sourceIPv4Address) are the same field"),
            ("f", "a\0b\n1\n", "column 1 has a control byte"),
            ("g", b"a\xff\n1\n", "column 1 has a control byte or is not"),
            ("h", "{}\n", "1 records skipped, the first is record 1: it has "
             "no values"),
            ("i", "a,b\n,\n\n", "1 records skipped, the first is record 2: "
             "it has no values"),
            ("j", '{"a":1,"a":2}\n', "field a comes twice"),
            ("k", ",".join("c%d" % i for i in range(5000)) + "\n",
             "more than 4096 columns")):
        status, out, err = load(root, text, table=name)
        assert (status, out) == (1, name + ": 0 records imported\n") and \
            why in err, (name, status, out, err)
    p = subprocess.Popen([STORE, "--root", str(root), "import", "slow"],
                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE)
    for text in (b'a,"', b"x" * 1500000, b'\n"\n1,2\n'):
        p.stdin.write(text)
        p.stdin.flush()
    err = p.communicate(timeout=60)[1]
    assert b"column 2 is longer" in err, err
    load(root, "_id,a\n77,1\n77,2\n", table="l")
    tap.equal([r["_id"] for r in rows(root, "l")], [1, 2], "_id is ours")
    for data in (b"", b"\n\n", b"a,b\n", b"[]"):
        tap.equal(load(root, data, table="none")[0], 0, data)
    data = part(10) + b"\xc1\xc1"
    status, out, err = load(root, data, "--format", "msgpack", table="m")
    assert status == 1 and "offset" in err and "10 records" in out, (out, err)
    status, out, err = command(root, "import", "t", str(root / "absent"))
    assert status == 1 and "absent" in err, err
    status, out, err = command(root, "import", "t", str(root))
    assert status == 1 and "is a directory" in err, err
    status, out, err = load(root, "a\n1\n", table="drop")
    assert status == 1 and "is a command" in err, err


def test_hostile(root):
    """random bytes and cut files do no harm"""
    store(root, part(40))
    forms = [command(root, "export", "t", "--format", f)[1].encode()
             for f in ("csv", "json")]
    for i in range(60):
        data = bytearray(rnd.choice(forms))
        for _ in range(rnd.randrange(1, 30)):
            data[rnd.randrange(len(data))] = rnd.randrange(256)
        if i % 3 == 0:
            data = data[:rnd.randrange(len(data))]
        if i % 7 == 0:
            data = rnd.randbytes(500)
        status, out, err = load(root, bytes(data), table="h")
        assert status in (0, 1), (status, err)
        tap.equal(command(root, "check", "h")[0], 0, "check")


def test_large(root):
    """more than fits any buffer, and a value that is too long"""
    n = 120000
    text = "a,s\n" + "".join("%d,%s\n" % (i, "v" * (i % 50))
                             for i in range(n))
    tap.equal(load(root, text)[1], "t: %d records imported\n" % n, "rows")
    got = rows(root)
    assert all(r["a"] == i for i, r in enumerate(sorted(
        got, key=lambda r: r["a"])))
    load(root, '{"a":"%s"}' % ("x" * 3000000), table="u")
    tap.equal(len(rows(root, "u")[0]["a"]), 3000000, "a long one")
    status, out, err = load(root, '{"a":"%s"}' % ("x" * 17000000), table="v")
    assert status == 1 and "longer than" in err, err


def test_host_and_lock(root):
    """--host, and a table that another process writes"""
    load(root, "a\n1\n", "--host", "edge")
    tap.equal(rows(root)[0]["_host"], "edge", "_host")
    s = Store(root, table="u")
    until(lambda: (root / "u" / "00000001.flow").exists())
    status, out, err = load(root, "a\n1\n", table="u")
    assert status == 1 and "process %d" % s.p.pid in err, err
    s.end()


def test_nfdump(root):
    """the CSV of nfdump, by our names"""
    os.environ["TZ"] = "UTC"
    text = (
        "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,"
        "das,smk,dmk,dtos,dir,nh,nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,"
        "mpls2,cl,sl,al,ra,eng,exid,tr\n"
        "2026-11-24 16:00:42,2026-11-24 16:01:36,53.982,10.13.20.141,"
        "27.186.0.210,54265,443,TCP,...AP.SF,0,184,3,143,0,0,13,101,64525,"
        "42172,24,16,0,1,192.0.2.2,0.0.0.0,7,0,00:00:00:00:00:00,"
        "00:11:22:33:44:55,00:00:00:00:00:00,00:00:00:00:00:00,5-1-1,0-0-0,"
        "    0.000,    1.500,    0.000,127.0.0.1,2/9,1,"
        "2026-11-24 16:01:52.414\n"
        "2026-11-24 16:00:42,2026-11-24 16:01:36,0.0,2001:db8::1,2001:db8::2,"
        "0,3.1,ICMP6,........,0,0,1,80,0,0,0,0,0,0,0,0,0,0,0.0.0.0,0.0.0.0,0,"
        "0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,"
        "00:00:00:00:00:00,0-0-0,0-0-0,0.0,0.0,0.0,0.0.0.0,0/0,1,"
        "2026-11-24 16:01:52.414\n"
        "Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n"
        "2,223,4,25242,8,356\n")
    tap.equal(load(root, text), (0, "t: 2 records imported\n", ""), "import")
    a, b = sorted(rows(root), key=lambda r: -r["octet_count"])
    t = 1795536112414000
    tap.equal({k: v for k, v in a.items() if k != "_id"}, {
        "_time": t, "start_time": 1795536042000000,
        "end_time": 1795536096000000, "src_addr": 0x0a0d148d,
        "dst_addr": 0x1bba00d2, "src_port": 54265, "dst_port": 443,
        "protocol": 6, "tcp_flags": 0x1b, "tos": 184, "packet_count": 3,
        "octet_count": 143, "input": 13, "output": 101, "src_as": 64525,
        "dst_as": 42172, "src_mask": 24, "dst_mask": 16, "flow_direction": 1,
        "next_hop": 0xc0000202, "vlan_id": 7,
        "post_dst_mac_address": 0x001122334455,
        "mpls_top_label_stack_section": bytes([0, 0, 0x53]),
        "server_latency": 1.5, "exporter": 0x7f000001,
        "source_id": 2 * 256 + 9}, "TCP")
    tap.equal((b["src_addr"][-1], b["dst_port"], b["protocol"],
               b["tcp_flags"], "next_hop" in b, "exporter" in b),
              (1, 3 * 256 + 1, 58, 0, False, False), "ICMPv6")


def test_nfdump_itself(root):
    """what the real nfdump writes adds up"""
    if not shutil.which("nfcapd") or not shutil.which("nfdump"):
        raise tap.Skip("no nfdump here")
    import netflow
    port = netflow.free_port()
    (root / "nf").mkdir()
    p = subprocess.Popen(["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w",
                          str(root / "nf"), "-t", "3600"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        netflow.wait_bound(port)
        sent = netflow.generate("--to", "127.0.0.1:%d" % port, "--version", 9,
                                "--flows", 500, "--rate", 2000)
        netflow.wait_read(port)
    finally:
        p.terminate()
        p.wait()
    text = subprocess.run(["nfdump", "-R", str(root / "nf"), "-o", "csv"],
                          capture_output=True).stdout
    tap.equal(load(root, text)[1], "t: %d records imported\n" % sent["flows"],
              "records")
    got = rows(root)
    tap.equal(sum(r["octet_count"] for r in got),
              int(text.decode().splitlines()[-1].split(",")[1]), "bytes")
    assert all(r["end_time"] >= r["start_time"] and "_time" in r and
               "src_addr" in r for r in got)


tap.main(globals())
