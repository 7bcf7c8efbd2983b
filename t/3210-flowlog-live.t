#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Loggers over live packets: softflowd's, whose count they show, and those of
exporters with source ids of their own, two loggers into two tables."""
import json
import os
import pathlib
import re
import signal
import subprocess

import netflow
import tap

try:
    import links
    import records
except ImportError:
    links = None

TRAFFIC = pathlib.Path(__file__).resolve().parent / "9010-pipeline-softflowd.t"


def need():
    if not links:
        raise tap.Skip("no python3-msgpack")


class Live:
    """flowrecv and flowdecode on a port, served to loggers."""

    def __init__(self, scratch):
        need()
        self.port = netflow.free_port()
        run = scratch / "run"
        run.mkdir(exist_ok=True)
        self.dirs = ["--config", str(scratch / "config"), "--state",
                     str(scratch / "state")]
        self.recv = subprocess.Popen(
            [tap.program("flowrecv"), f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE)
        self.decode = subprocess.Popen([tap.program("flowdecode")],
                                       stdin=self.recv.stdout,
                                       stdout=subprocess.PIPE)
        self.recv.stdout.close()
        self.source = links.Bridge(run / "flowdecode.sock",
                                   self.decode.stdout)
        self.store = links.Store(run / "flowstore.sock")
        netflow.wait_bound(self.port)

    def flowlog(self, verb, *args):
        done = subprocess.run([tap.program("flowlog"), verb, *self.dirs,
                               *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)
        tap.equal((done.returncode, done.stderr), (0, ""), verb)
        return done.stdout

    def status(self, name):
        return json.loads(self.flowlog("show", "--json", name))

    def start(self, name):
        tap.equal(self.flowlog("start", "--init", "none", name),
                  "logger started\n", "start")
        netflow.wait_for(lambda: self.status(name)["connected"], "connection")

    def rows(self, table):
        return [r for o in list(self.store.tables.get(table, []))
                for r in records.Batch(o).records()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        listed = subprocess.run(
            [tap.program("flowlog"), "list", "--json", *self.dirs],
            stdout=subprocess.PIPE, text=True).stdout
        for line in listed.splitlines():
            self.flowlog("remove", "--init", "none", json.loads(line)["name"])
        for p in (self.recv, self.decode):
            p.kill()
            p.wait()
        self.source.close()
        self.store.close()


def softflowd(scratch, port):
    """Its packets; how many records it says it sent."""
    netflow.need("softflowd")
    scope = {"__name__": "traffic", "__file__": str(TRAFFIC)}
    code = TRAFFIC.read_text().replace("tap.main(globals())", "")
    exec(compile(code, str(TRAFFIC), "exec"), scope)
    path = scratch / "traffic.pcap"
    scope["write_capture"](path, True)
    said = subprocess.run(["softflowd", "-d", "-v", "9", "-r", str(path),
                           "-n", f"127.0.0.1:{port}"], check=True,
                          timeout=60, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout
    return int(re.search(r"Flows exported: .*\((\d+) records\)", said)[1])


def test_softflowd(scratch):
    """the page of a logger over softflowd's packets shows what it sent"""
    os.environ["TZ"] = "UTC"
    name = r"local\netflow-logger"
    with Live(scratch) as live:
        tap.equal(live.flowlog("create", name),
                  "logger created: name=local\\netflow-logger, "
                  "factory=local\\netflow, status=stopped (passive), log "
                  "count=0, last start=null, last run=null, last log=null\n",
                  "create")
        live.start(name)
        sent = softflowd(scratch, live.port)
        assert sent > 300, sent
        netflow.wait_for(lambda: live.status(name)["log_count"] >= sent,
                         "all of them")
        page = live.flowlog("show", name)
        last = records.batches(live.source.objects[-1])[0].records()[-1]
        tap.equal(re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", page),
                  "Logger [local\\netflow-logger]\n"
                  "* Description: null\n"
                  "* Logger Factory: local\\netflow\n"
                  "* Status: Running\n"
                  "* Interval: 0ms\n"
                  "* Last Log: TIME\n"
                  "* Last Run: N/A\n"
                  f"* Log Count: {sent}\n"
                  "* Drop Count: 0\n"
                  "Configuration\n", "page")
        shown = subprocess.run(
            ["date", "-u", "-d", f"@{last['_time'] // 1000000}",
             "+%Y-%m-%d %H:%M:%S"], stdout=subprocess.PIPE, text=True).stdout
        assert f"* Last Log: {shown.strip()}\n" in page, (page, shown)
        tap.equal(live.flowlog("stop", "--init", "none", name),
                  "logger stopped\n", "stop")
        tap.equal(live.flowlog("remove", name), "logger removed\n", "remove")


def test_two(scratch):
    """two loggers with source ids and fields of their own, one killed"""
    with Live(scratch) as live:
        live.flowlog("create", "--source-id", "1,3", "--fields",
                     "src_addr,octet_count,source_id", "--table", "odd",
                     "a/odd")
        live.flowlog("create", "--source-id", "2", "--where",
                     "protocol == tcp", "--fields",
                     "dst_port,packet_count,protocol,source_id", "--table",
                     "even", r"a\even")
        live.start("a/odd")
        live.start(r"a\even")
        sender = subprocess.Popen(
            [tap.program("gen"), "--to", f"127.0.0.1:{live.port}",
             "--version", "9", "--flows", "30000", "--exporters", "3",
             "--rate", "15000", "--summary"], stderr=subprocess.DEVNULL)
        netflow.wait_for(lambda: len(live.rows("odd")) > 1000, "records")
        os.kill(live.status("a/odd")["pid"], signal.SIGKILL)
        netflow.wait_for(
            lambda: live.status("a/odd")["status"] == "stopped", "death")
        live.start("a/odd")
        tap.equal(sender.wait(60), 0, "gen")
        netflow.wait_read(live.port)

        def sent():
            return [r for o in list(live.source.objects)
                    for r in records.batches(o)[0].records()]
        netflow.wait_for(lambda: len(sent()) == 30000, "all decoded")
        for table, test, fields in (
                ("odd", lambda r: r["source_id"] in (1, 3),
                 ("src_addr", "octet_count", "source_id", "_time")),
                ("even", lambda r: r["source_id"] == 2 and
                 r["protocol"] == 6,
                 ("dst_port", "packet_count", "protocol", "source_id",
                  "_time"))):
            want = [{k: r[k] for k in fields} for r in sent() if test(r)]
            assert want
            netflow.wait_for(lambda: len(live.rows(table)) >= len(want),
                             table)
            assert live.rows(table) == want, table
        for name, table in (("a/odd", "odd"), (r"a\even", "even")):
            netflow.wait_for(lambda: live.status(name)["log_count"] ==
                             len(live.rows(table)), "count of " + name)


tap.main(globals())
