#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""flowq writes elsewhere (outputcsv, outputjson, import), and looks up in
other files."""
import os
import stat
import subprocess

import flowq_rows as fr
import maxmind
import tap

DAY = 1795428000000000


def ask(root, query, *options, **more):
    env = dict(os.environ, TZ="UTC", **more.pop("env", {}))
    r = subprocess.run([fr.FLOWQ, "--root", str(root), *options, query],
                       capture_output=True, timeout=60, env=env, **more)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def answer(root, query, *options, **more):
    rc, out, err = ask(root, query, *options, **more)
    tap.equal((rc, err), (0, ""), query)
    return out


def refused(root, query, text, code=1, **more):
    rc, out, err = ask(root, query, **more)
    tap.equal((rc, out), (code, ""), query)
    assert text in err, err


def test_files(root):
    """outputcsv and outputjson write what --format does, and say how much"""
    fr.store(str(root), "t", fr.random_rows(3000, 4))
    for verb, form in ("outputcsv", "csv"), ("outputjson", "json"):
        path = root / f"rows.{form}"
        tap.equal(answer(root, f"table t | {verb} {path}"),
                  "{file=%s, rows=3000}\n" % path)
        tap.equal(path.read_text(),
                  answer(root, "table t", "--format", form), form)
        path = root / f"some.{form}"
        answer(root, f"table t | search dst_port == 443 | {verb} {path} "
               "src_addr, octet_count | search rows > 0")
        tap.equal(path.read_text(),
                  answer(root, "table t | search dst_port == 443 | fields "
                         "src_addr, octet_count", "--format", form), form)
    old = os.umask(0o027)
    answer(root, f"table t | limit 1 | outputcsv {root}/mode")
    os.umask(old)
    tap.equal(stat.S_IMODE((root / "mode").stat().st_mode), 0o640, "mode")


def test_existing(root):
    """an existing file stays unless overwrite=t, and is replaced whole"""
    fr.store(str(root), "t", [{"_time": DAY, "n": 1}])
    path = root / "f"
    path.write_text("mine\n")
    for verb in "outputcsv", "outputjson":
        refused(root, f"table t | {verb} {path} n", "is there already")
        refused(root, f"table t | {verb} overwrite=f {path}", "overwrite=t")
        tap.equal(path.read_text(), "mine\n")
    answer(root, f"table t | outputcsv overwrite=t {path} n")
    tap.equal(path.read_text(), "n\n1\n")
    # A query that fails leaves what was there, and nothing beside it.
    fr.store(str(root), "big", [{"_time": DAY, "n": (1 << 64) - 1}] * 3)
    refused(root, "table big | stats sum(n) as n | outputcsv overwrite=t "
            f"{path}", "64 bits")
    tap.equal(path.read_text(), "n\n1\n")
    tap.equal([p.name for p in root.glob("f*")], ["f"])


def test_not_written(root):
    """what cannot be written is an error that names the file"""
    fr.store(str(root), "t", [{"_time": DAY + i, "n": i} for i in range(9000)])
    refused(root, f"table t | outputcsv {root}/no/such", f"{root}/no/such")
    if stat.S_ISCHR(os.stat("/dev/full").st_mode):
        refused(root, "table t | outputcsv /dev/full", "/dev/full")
    refused(root, f"table t | outputcsv {root}/f nosuch", "has a field nosuch", 2)
    refused(root, "table t | outputcsv", "expected the path of a file", 2)
    # explain writes nothing
    answer(root, f"explain table t | outputcsv {root}/f")
    assert not (root / "f").exists()


def test_pipe(root):
    """a pipe gets the rows, and has no other name first"""
    fr.store(str(root), "t", [{"_time": DAY + i, "n": i} for i in range(100)])
    fifo = root / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE) as cat:
        answer(root, f"table order=asc t | outputcsv {fifo} n")
        out = cat.stdout.read().decode()
    tap.equal(out.split(), ["n"] + [str(i) for i in range(100)])


def test_import(root):
    """import stores rows in another table: types, times and nulls stay"""
    rows = fr.random_rows(5000, 6)
    rows[7].update(ratio=0.5, name="\u00e9", flag=True, delta=-5)
    fr.store(str(root), "t", rows, host="edge")
    tap.equal(answer(root, "table t | import copy"),
              "{rows=5000, table=copy}\n")
    for query in ("fields - _id, _table | sort _time, src_addr, src_port, "
                  "octet_count", "stats count, sum(octet_count) by _host, "
                  "protocol", "search src_addr in 10.1.0.0/16 | stats count"):
        tap.equal(answer(root, f"table copy | {query}"),
                  answer(root, f"table t | {query}"), query)
    answer(root, "table t | import copy")
    tap.equal(answer(root, "table copy | stats count by _id | stats count"),
              "{count=10000}\n")
    answer(root, "table t | stats count, sum(octet_count) as octets by "
           "src_addr | import per_host")
    tap.equal(answer(root, "table per_host | stats sum(count)"),
              "{sum(count)=5000}\n")
    path = root / "rows.csv"
    answer(root, f"table t | outputcsv {path}")
    answer(root, f"csvfile {path} | import fromcsv")
    tap.equal(answer(root, "table fromcsv | stats count, sum(octet_count)"),
              answer(root, "table t | stats count, sum(octet_count)"))


def test_import_fails(root):
    """flowstore's refusal is the query's failure"""
    fr.store(str(root), "t", [{"_time": DAY, "n": 1}])
    refused(root, "table t | import tables", "could not store all in tables")
    refused(root, "table t | eval `%s` = 1 | import x" % ("y" * 80),
            "80 bytes")
    refused(root, "table t | import", "expected the name of a table", 2)


def test_lookup_csv(root):
    """lookup adds columns of a CSV file: the first row of a key counts"""
    fr.store(str(root), "t", [
        {"_time": DAY + i, "src_addr": a, "dst_port": p} for i, (a, p) in
        enumerate([("10.0.0.1", 443), ("10.0.5.1", 80), ("192.168.1.1", 22),
                   ("2001:db8::5", 443)])])
    ports = root / "ports.csv"
    ports.write_text("dst_port,service,risk\n443,https,1\n80,http,\n"
                     "443,second,9\n")
    query = "table order=asc t | lookup %s dst_port output %s | fields %s"
    tap.equal(answer(root, query % (ports, "service, risk", "service, risk")),
              "{risk=1, service=https}\n{risk=null, service=http}\n"
              "{risk=null, service=null}\n{risk=1, service=https}\n")
    tap.equal(answer(root, query % (ports, "service as s", "s") +
                     ' | search s == "http*" | stats count by s'),
              "{count=1, s=http}\n{count=2, s=https}\n")
    other = root / "names.csv"
    other.write_text("addr,name\n10.0.0.1,a\n2001:db8::5,b\n")
    tap.equal(answer(root, "table order=asc t | lookup %s src_addr as addr "
                     "output name | fields name" % other),
              "{name=a}\n{name=null}\n{name=null}\n{name=b}\n")
    # by its name alone
    env = {"FLOW_LOOKUP": f"/nonexistent:{root}"}
    tap.equal(answer(root, "table t | lookup ports dst_port output service | "
                     "stats count(service)", env=env),
              "{count(service)=3}\n")
    refused(root, "table t | lookup nosuch dst_port output x",
            "no file nosuch.csv", env=env)
    refused(root, f"table t | lookup {ports} dst_port output servic",
            "did you mean service?", 2)
    refused(root, f"table t | lookup {ports} dst_port as port output risk",
            "no column port", 2)
    refused(root, f"table t | lookup {ports} dst_port", "expected output", 2)
    refused(root, f"table t | lookup {root}/absent.csv dst_port output x",
            "cannot open")


def test_lookup_networks(root):
    """a column of networks: the longest that has the address"""
    addresses = ["10.0.0.1", "10.1.0.1", "10.1.2.3", "172.16.0.1",
                 "2001:db8::1", "2001:db8:1::1"]
    fr.store(str(root), "t", [{"_time": DAY + i, "src_addr": a}
                              for i, a in enumerate(addresses)])
    path = root / "nets.csv"
    path.write_text("network,site\n10.0.0.0/8,all\n10.1.0.0/16,lab\n"
                    "10.1.2.3,host\n2001:db8::/32,six\n2001:db8:1::/48,door\n")
    out = answer(root, f"table order=asc t | lookup {path} src_addr as network"
                 " output site | fields site", "--format", "csv")
    tap.equal(out, "site\nall\nlab\nhost\n\nsix\ndoor\n")


def test_lookup_maxmind(root):
    """lookup in a MaxMind database, where flowq was built with it"""
    path = root / "places.mmdb"
    path.write_bytes(maxmind.database({
        "10.0.0.0/8": {"country": {"iso_code": "NL",
                                   "names": {"en": "Netherlands"}},
                       "city": {"names": {"en": "Delft"}},
                       "location": {"latitude": 52.5, "longitude": 4.25},
                       "autonomous_system_number": 64512,
                       "autonomous_system_organization": "Lab"},
        "2001:db8::/32": {"country": {"iso_code": "DE"}}}))
    fr.store(str(root), "t", [
        {"_time": DAY + i, "src_addr": a} for i, a in
        enumerate(["10.1.2.3", "192.168.1.1", "2001:db8::9"])])
    query = f"table order=asc t | lookup {path} src_addr output "
    rc, out, err = ask(root, query + "country, city, asn, as_org, latitude | "
                       "fields - _time, _id, _table")
    if "built without libmaxminddb" in err:
        raise tap.Skip("built without libmaxminddb")
    tap.equal((rc, err), (0, ""))
    tap.equal(out, "{as_org=Lab, asn=64512, city=Delft, country=NL, "
              "latitude=52.5, src_addr=10.1.2.3}\n"
              "{as_org=null, asn=null, city=null, country=null, "
              "latitude=null, src_addr=192.168.1.1}\n"
              "{as_org=null, asn=null, city=null, country=DE, "
              "latitude=null, src_addr=2001:db8::9}\n")
    tap.equal(answer(root, query + "country | stats count by country"),
              "{count=1, country=null}\n{count=1, country=DE}\n"
              "{count=1, country=NL}\n")
    tap.equal(answer(root, query + "country.names.en as name | limit 1 | "
                     "fields name"), "{name=Netherlands}\n")
    (root / "GeoLite2-Country.mmdb").write_bytes(path.read_bytes())
    tap.equal(answer(root, "table t | lookup country src_addr output country |"
                     " stats count(country)", env={"FLOW_LOOKUP": str(root)}),
              "{count(country)=2}\n")
    refused(root, query + "contry", "did you mean country?", 2)
    refused(root, f"table t | lookup {path} _table output country",
            "expected a field with addresses", 2)
    path.write_bytes(path.read_bytes()[:100])
    refused(root, query + "country", "cannot open")


tap.main(globals())
