#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Loggers over live packets: softflowd's, whose count they show, and those of
exporters with source ids of their own, two loggers into two tables."""
import json
import os
import re
import signal
import subprocess

import netflow
import softflowd
import tables
import tap
from stages import Stage

try:
    import records
except ImportError:
    records = None


def need():
    if not records:
        raise tap.Skip("no python3-msgpack")


class Live:
    """flowrecv and flowdecode on a port, joined and served by sockets."""

    def __init__(self, scratch):
        need()
        self.port = netflow.free_port()
        self.scratch = scratch
        self.dirs = ["--config", str(scratch / "config"), "--state",
                     str(scratch / "state")]
        (scratch / "run").mkdir(exist_ok=True)
        self.recv = self.run("flowrecv", "--serve", self.at("run/recv.sock"),
                             "--ring", self.at("recv"),
                             f"127.0.0.1:{self.port}")
        self.start_decode()
        self.store = Stage(scratch, "flowstore", "serve", "--accept",
                           scratch / "run" / "flowstore.sock", "--root",
                           scratch / "root")
        netflow.wait_bound(self.port)

    def at(self, name):
        return str(self.scratch / name)

    def run(self, name, *args):
        with open(self.at(name + ".err"), "ab") as err:
            return subprocess.Popen([tap.program(name), *args], stderr=err)

    def start_decode(self):
        self.decode = self.run(
            "flowdecode", "--from", "unix:" + self.at("run/recv.sock"),
            "--serve", self.at("run/flowdecode.sock"), "--ring",
            self.at("decode"))

    def kill_decode(self):
        self.decode.kill()
        self.decode.wait()
        self.start_decode()

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
        if not (self.scratch / "root" / table).exists():
            return []
        return tables.rows(self.scratch / "root", table)

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
        self.store.kill()


def export(scratch, port):
    """Its packets; how many records it says it sent."""
    netflow.need("softflowd")
    path = scratch / "traffic.pcap"
    softflowd.write_capture(path, True)
    said = subprocess.run(["softflowd", "-d", "-v", "9", "-r", str(path),
                           "-n", f"127.0.0.1:{port}"], check=True,
                          timeout=60, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout
    return int(re.search(r"Flows exported: .*\((\d+) records\)", said)[1])


def local_time(text):
    done = subprocess.run(["date", "-u", "-d", text, "+%Y-%m-%d %H:%M:%S"],
                          stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


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
        sent = export(scratch, live.port)
        assert sent > 300, sent
        netflow.wait_for(lambda: live.status(name)["log_count"] >= sent,
                         "all of them")
        last = json.loads(live.flowlog("last", name))
        tap.equal(live.flowlog("show", name),
                  "Logger [local\\netflow-logger]\n"
                  "* Description: null\n"
                  "* Logger Factory: local\\netflow\n"
                  "* Status: Running\n"
                  "* Interval: 0ms\n"
                  f"* Last Log: {local_time(last['_time'])}\n"
                  "* Last Run: N/A\n"
                  f"* Log Count: {sent}\n"
                  "* Drop Count: 0\n"
                  "Configuration\n", "page")
        tap.equal(live.flowlog("stop", "--init", "none", name),
                  "logger stopped\n", "stop")
        tap.equal(live.flowlog("remove", name), "logger removed\n", "remove")


def generated(scratch, *options):
    """The records of what gen sends, out of a capture."""
    pcap = scratch / "gen.pcap"
    netflow.generate("--pcap", pcap, *options)
    recv = subprocess.Popen([tap.program("flowrecv"), "--read", str(pcap)],
                            stdout=subprocess.PIPE)
    done = subprocess.run([tap.program("flowdecode")], stdin=recv.stdout,
                          stdout=subprocess.PIPE, check=True, timeout=60)
    recv.stdout.close()
    recv.wait()
    return [r for b in records.batches(done.stdout) for r in b.records()]


def chosen(rows, fields):
    return sorted(tuple(r[f] for f in fields) for r in rows)


def test_two(scratch):
    """two loggers, source ids and fields of their own; whatever is killed"""
    options = ("--version", 9, "--flows", 30000, "--exporters", 3)
    odd = ("src_addr", "octet_count", "source_id")
    even = ("dst_port", "packet_count", "protocol", "source_id")
    with Live(scratch) as live:
        live.flowlog("create", "--source-id", "1,3", "--fields",
                     ",".join(odd), "--table", "odd", "a/odd")
        live.flowlog("create", "--source-id", "2", "--where",
                     "protocol == tcp", "--fields", ",".join(even), "--table",
                     "even", r"a\even")
        live.start("a/odd")
        live.start(r"a\even")
        sender = subprocess.Popen(
            [tap.program("gen"), "--to", f"127.0.0.1:{live.port}", "--rate",
             "12000", *map(str, options)], stderr=subprocess.DEVNULL)
        netflow.wait_for(lambda: len(live.rows("odd")) > 1000, "records")
        os.kill(live.status("a/odd")["pid"], signal.SIGKILL)
        live.kill_decode()
        netflow.wait_for(
            lambda: live.status("a/odd")["status"] == "stopped", "death")
        live.store.again()
        live.start("a/odd")
        tap.equal(sender.wait(60), 0, "gen")
        sent = generated(scratch, *options)
        for table, fields, test in (
                ("odd", odd, lambda r: r["source_id"] in (1, 3)),
                ("even", even, lambda r: r["source_id"] == 2 and
                 r["protocol"] == 6)):
            want = chosen(filter(test, sent), fields)
            assert len(want) > 5000, len(want)
            netflow.wait_for(lambda: len(live.rows(table)) >= len(want),
                             f"{len(want)} rows in {table}")
            got = chosen(live.rows(table), fields)
            tap.equal(len(got), len(want), f"rows in {table}")
            assert got == want, table
            tap.equal(set(live.rows(table)[0]),
                      {*fields, "_time", "_id"}, "fields")
        for name, table in (("a/odd", "odd"), (r"a\even", "even")):
            netflow.wait_for(lambda: live.status(name)["log_count"] ==
                             len(live.rows(table)), "count of " + name)


def test_dead(scratch):
    """a logger that is stopped, and one that is dead, stall nobody"""
    options = ("--version", 9, "--flows", 20000)
    with Live(scratch) as live:
        for name in ("good", "stuck", "dead"):
            live.flowlog("create", name)
            live.start(name)
        stuck = live.status("stuck")["pid"]
        os.kill(stuck, signal.SIGSTOP)
        os.kill(live.status("dead")["pid"], signal.SIGKILL)
        netflow.generate("--to", f"127.0.0.1:{live.port}", "--rate", 20000,
                         *options)
        netflow.wait_for(lambda: live.status("good")["log_count"] == 20000,
                         "all of the good one")
        os.kill(stuck, signal.SIGCONT)
        live.start("dead")
        for name in ("stuck", "dead"):
            netflow.wait_for(lambda: live.status(name)["log_count"] == 20000,
                             "all of " + name)


tap.main(globals())
