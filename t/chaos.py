# SPDX-License-Identifier: BSD-2-Clause
"""The stages as services join them, with two loggers into two tables; a load
of v5 and v9 from several exporters; and whether the tables have what was sent.

What was sent is known from the same load as a capture, which goes through
pipes into tables of its own."""
import contextlib
import json
import shutil
import signal
import socket
import struct
import subprocess
import time

import netflow
import pipeline
import tap
from stages import Stage, held_port

EXPORTERS = 4  # of each version
BURST = 8  # datagrams of one in a row
V5_RECORDS = 30  # of a datagram
WHERE = ("--where", "protocol == tcp", "--fields",
         "src_addr,dst_addr,dst_port,octet_count,source_id,version")
LOGGERS = {"all": (), "tcp": WHERE}
SETS = ("decoded", "options", "templates", "waiting", "expired", "malformed")
BOUND = 300  # seconds that it may take to catch up


def sanitized():
    with open(tap.program("flowdecode"), "rb") as f:
        return b"__asan_init" in f.read()


def rate():
    return 15000 if sanitized() else 100000


class Load:
    """What gen sends, or has sent."""

    def __init__(self, line, seconds, flows):
        self.line, self.start = line, int(time.time())
        self.args = [(version, "--version", str(version), "--flows",
                      str(int(seconds * flows / 2)), "--rate", str(flows // 2),
                      "--exporters", str(EXPORTERS), "--burst", str(BURST), "--start",
                      str(self.start), "--seed", str(line.seed % 1000 + version))
                     for version in (5, 9)]
        self.flows = 2 * int(seconds * flows / 2)
        self.gens = [subprocess.Popen(
            [tap.program("gen"), *args, "--from", f"127.0.{version}.1",
             "--summary", "--to", f"127.0.0.1:{line.port}"],
            stderr=subprocess.PIPE) for version, *args in self.args]
        self.said = None

    def busy(self):
        return any(g.poll() is None for g in self.gens)

    def wait(self):
        """The summaries of both."""
        if self.said is None:
            self.said = [json.loads(g.stderr.read()) for g in self.gens]
            tap.equal([g.wait() for g in self.gens], [0, 0], "exits of gen")
        return self.said

    def datagrams(self):
        return sum(s["datagrams"] for s in self.wait())

    def of(self, version, i):
        """Datagrams and flows of an exporter; the flows of v5."""
        said = self.wait()[(5, 9).index(version)]
        round_, rest = BURST * EXPORTERS, said["datagrams"]
        n = rest // round_ * BURST + min(max(rest % round_ - i * BURST, 0),
                                         BURST)
        flows = n * V5_RECORDS
        if (rest - 1) // BURST % EXPORTERS == i:  # the last is smaller
            flows += said["flows"] - rest * V5_RECORDS
        return n, flows

    def last(self, version, i):
        datagrams, flows = self.of(version, i)
        if version == 9:
            return struct.pack(">HHIIII", 9, 0, 0, self.start, datagrams,
                               i + 1)
        return struct.pack(">HHIIIIHH", 5, 0, 0, self.start, 0, flows, i + 1,
                           0)

    def store(self, root):
        """Stores it through pipes."""
        for _, *args in self.args:
            for name, steps in LOGGERS.items():
                stages = (["gen", *args, "--pcap", "-"],
                          ["flowrecv", "--read", "-"], ["flowdecode"],
                          ["flowlog", *steps],
                          ["flowstore", "--root", str(root), "--host", "edge",
                           name])
                end = subprocess.DEVNULL
                running = []
                for s in stages:
                    p = subprocess.Popen([tap.program(s[0]), *s[1:]], stdin=end,
                                         stdout=subprocess.PIPE)
                    end = p.stdout
                    running.append(p)
                for p in running:
                    p.stdout.close()
                tap.equal([p.wait(BOUND) for p in running], [0] * len(running),
                          "exits")

    def stop(self):
        for g in self.gens:
            g.kill()
            g.wait()
            g.stderr.close()


class Line:
    """BUFFER is how many bytes the kernel may hold."""

    def __init__(self, scratch, seed, buffer=64 << 20):
        self.scratch, self.seed, self.buffer = scratch, seed, buffer
        self.root = scratch / "root"
        self.socket, self.port = held_port(buffer)
        (scratch / "run").mkdir()
        self.dirs = ("--config", scratch / "loggers", "--state",
                     scratch / "flowlog")
        for name, steps in LOGGERS.items():
            subprocess.run([tap.program("flowlog"), "create", *self.dirs,
                            "--table", name, "--host", "edge", *steps, name],
                           check=True, stdout=subprocess.DEVNULL)
        self.stages = {}
        self.start(self.commands())

    def commands(self):
        s, run = self.scratch, self.scratch / "run"
        return {
            "flowrecv": ("--control", run / "flowrecv.sock", "--serve",
                         run / "datagrams.sock", "--ring", s / "ring",
                         "--ring-size", "8G", "--receive-buffer",
                         str(self.buffer)),
            "flowdecode": ("--from", f"unix:{run / 'datagrams.sock'}",
                           "--serve", run / "flowdecode.sock", "--ring",
                           s / "ring", "--ring-size", "8G", "--state",
                           s / "flowdecode", "--stats", s / "stats.json"),
            "flowstore": ("serve", "--accept", run / "flowstore.sock",
                          "--root", self.root),
            **{f"flowlog {name}": ("run", *self.dirs, name)
               for name in LOGGERS}}

    def start(self, commands):
        for name, args in commands.items():
            program = name.split()[0]
            fd = self.socket.fileno() if program == "flowrecv" else None
            self.stages[name] = Stage(self.scratch, program, *args, fd=fd)

    def upgrade(self, name):
        """As a package does: a new file, the old process ends, one starts."""
        stage = self.stages[name]
        new = self.scratch / "new" / name.replace(" ", "-")
        new.parent.mkdir(exist_ok=True)
        shutil.copy2(stage.command[0], new)
        stage.process.send_signal(signal.SIGTERM)
        tap.equal(stage.process.wait(60), 0, f"exit of {name}: " +
                  stage.err.read_text()[-2000:])
        stage.command[0] = str(new)
        stage.start()

    @contextlib.contextmanager
    def load(self, seconds, flows):
        load = Load(self, seconds, flows)
        try:
            yield load
        finally:
            load.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stage in self.stages.values():
            if stage.process.poll() is None:
                stage.process.send_signal(signal.SIGCONT)
            stage.kill()
        self.socket.close()

    def said(self):
        return "\n".join(p.read_text()[-3000:]
                         for p in sorted(self.scratch.glob("*.err")))

    def count(self, table):
        if not (self.root / table).exists():
            return 0
        row, = pipeline.query(self.root, f"table {table} | stats count as n")
        return row["n"]

    def exporters(self):
        rows = pipeline.query(self.root, "table all | stats count by exporter, "
                              "version, source_id")
        return {(r["exporter"], r["version"], r["source_id"]) for r in rows}

    def sums(self, root):
        """Of each table: records, and a sum over them."""
        return {t: subprocess.run([tap.BUILD / "t/tabledump", "-c", str(root),
                                   t], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.split()
                for t in LOGGERS}

    def close(self, load):
        """A last datagram of each exporter, without records: after it no gap
        is without an end."""
        netflow.wait_read(self.port)
        for version in 5, 9:
            for i in range(EXPORTERS):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.bind((f"127.0.{version}.{i + 1}", 0))
                    s.connect(("127.0.0.1", self.port))
                    s.send(load.last(version, i))

    def ledger(self):
        return json.loads((self.scratch / "stats.json").read_text())

    def drops(self):
        return netflow.kernel_drops(self.port)

    def settled(self, load):
        """All is decoded that was not dropped, and all of that is stored."""
        ledger = self.ledger()
        return (ledger["total"]["datagrams"] + self.drops() ==
                load.datagrams() + 2 * EXPORTERS and
                len(ledger["readers"]) == len(LOGGERS) and
                not any(r["waiting"] for r in ledger["readers"]))

    def check(self, load):
        """All that was sent is there, once, and the ledger says so."""
        load.wait()
        self.close(load)
        try:
            netflow.wait_for(lambda: self.settled(load), "records", BOUND)
        except AssertionError:
            tap.comment(f"{self.drops()} datagrams dropped by the kernel")
            tap.comment(json.dumps(self.ledger()))
            raise AssertionError(self.said())
        self.lost = drops = self.drops()
        tap.comment(f"{load.flows} flows, {load.datagrams()} datagrams, "
                    f"{drops} dropped by the kernel")
        self.stop()
        self.check_identities(load, drops)
        self.check_losses(load, drops)
        if drops == 0:
            self.check_all(load)

    def check_identities(self, load, drops):
        """Whatever was killed, all that came is counted, and once."""
        ledger, stored = self.ledger(), {t: self.count(t) for t in LOGGERS}
        total = ledger["total"]
        records = total["records"]
        for what, wanted in (
                ("datagrams", load.datagrams() + 2 * EXPORTERS - drops),
                ("sets", sum(total[f"sets_{w}"] for w in SETS)),
                ("reordered", 0), ("restarts", 0), ("sets_expired", 0),
                ("sets_malformed", 0), ("records_dropped", 0)):
            tap.equal(total[what], wanted, what)
        tap.equal(sorted((r["reader"], r["waiting"], r["lost"])
                         for r in ledger["readers"]),
                  [(name, 0, 0) for name in sorted(LOGGERS)], "readers")
        tap.equal(stored["all"], records, "records stored")
        for name in LOGGERS:
            kept = json.loads((self.scratch / "flowlog" /
                               f"{name}.json").read_text())
            tap.equal((kept["log_count"], kept["filter_count"],
                       kept["drop_count"]),
                      (stored[name], records - stored[name], 0),
                      f"counts of logger {name}: " + self.said())
        fields = ("stats count as n, sum(octet_count) as octets, "
                  "sum(dst_port) as ports by version, source_id")
        tap.equal(pipeline.query(self.root, f"table tcp | {fields}"),
                  pipeline.query(self.root, "table all | search protocol == "
                                 f"tcp | {fields}"), "the same in both tables")

    def check_losses(self, load, drops):
        """What the kernel dropped is what the sequence numbers miss, of each
        exporter."""
        lost = 0
        for x in self.ledger()["exporters"]:
            version, i = x["version"], x["source_id"] - 1
            tap.equal(x["exporter"], f"127.0.{version}.{i + 1}", "exporter")
            datagrams, flows = load.of(version, i)
            gone = datagrams - (x["datagrams"] - 1)
            lost += gone
            tap.equal(x["missing"], gone if version == 9 else
                      flows - x["records"], f"missing of {x['exporter']}")
            tap.equal(x["gaps"] > 0, gone > 0, f"gaps of {x['exporter']}")
        tap.equal(lost, drops, "datagrams lost")

    def check_all(self, load):
        """Record for record."""
        reference = self.scratch / "reference"
        load.store(reference)
        tap.equal(self.sums(self.root), self.sums(reference),
                  "records and their sum")
        tap.equal(self.exporters(), {
            (f"127.0.{version}.{i}", version, i)
            for version in (5, 9) for i in range(1, EXPORTERS + 1)},
                  "exporters")

    def stop(self):
        for name in reversed(self.stages):
            stage = self.stages[name]
            stage.process.send_signal(signal.SIGTERM)
            tap.equal(stage.process.wait(60), 0, f"exit of {name}: " +
                      self.said())
