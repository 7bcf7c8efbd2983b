# SPDX-License-Identifier: BSD-2-Clause
"""The stages as services join them, with two loggers into two tables; a load
of v5 and v9 from several exporters; and whether the tables have what was sent.

What was sent is known from the same load as a capture, which goes through
pipes into tables of its own."""
import contextlib
import json
import shutil
import signal
import subprocess
import time

import netflow
import pipeline
import tap
from stages import Stage, held_port

EXPORTERS = 4  # of each version
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
                      "--exporters", str(EXPORTERS), "--burst", "8", "--start",
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
    def __init__(self, scratch, seed):
        self.scratch, self.seed = scratch, seed
        self.root = scratch / "root"
        self.socket, self.port = held_port()
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
                         "--ring-size", "1G"),
            "flowdecode": ("--from", f"unix:{run / 'datagrams.sock'}",
                           "--serve", run / "flowdecode.sock", "--ring",
                           s / "ring", "--ring-size", "1G", "--state",
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

    def check(self, load):
        """All that was sent is there, once, and the ledger says so."""
        sent = load.wait()
        drops = netflow.kernel_drops(self.port)
        reference = self.scratch / "reference"
        load.store(reference)
        wanted = self.sums(reference)
        try:
            netflow.wait_for(
                lambda: all(self.count(t) >= int(wanted[t][0])
                            for t in LOGGERS), "records", BOUND)
        except AssertionError:
            tap.comment(f"{drops} datagrams dropped by the kernel")
            tap.comment({t: (self.count(t), wanted[t]) for t in LOGGERS})
            raise AssertionError(self.said())
        tap.comment(f"{load.flows} flows, {sum(s['datagrams'] for s in sent)} "
                    f"datagrams, {drops} dropped by the kernel")
        self.stop()
        tap.equal(self.sums(self.root), wanted, "records and their sum")
        self.check_ledger(sent, {t: int(wanted[t][0]) for t in LOGGERS})
        tap.equal(self.exporters(), {
            (f"127.0.{version}.{i}", version, i)
            for version in (5, 9) for i in range(1, EXPORTERS + 1)},
                  "exporters")

    def check_ledger(self, sent, stored):
        """Whatever was killed, it counts all that came, and once."""
        stats = json.loads((self.scratch / "stats.json").read_text())
        total = stats["total"]
        records = sum(s["flows"] for s in sent)
        for what, wanted in (
                ("datagrams", sum(s["datagrams"] for s in sent)),
                ("records", records), ("gaps", 0), ("missing", 0),
                ("reordered", 0), ("restarts", 0),
                ("templates", sum(s["templates"] for s in sent)),
                ("sets", sum(total[f"sets_{w}"] for w in SETS)),
                ("sets_decoded", sum(s["datagrams"] for s in sent))):
            tap.equal(total[what], wanted, what)
        for version, said in zip((5, 9), sent):
            tap.equal(sum(x["records"] for x in stats["exporters"]
                          if x["version"] == version), said["flows"],
                      f"records of version {version}")
        tap.equal(sorted((r["reader"], r["waiting"], r["lost"])
                         for r in stats["readers"]),
                  [(name, 0, 0) for name in sorted(LOGGERS)], "readers")
        for name in LOGGERS:
            kept = json.loads((self.scratch / "flowlog" /
                               f"{name}.json").read_text())
            tap.equal((kept["log_count"], kept["filter_count"],
                       kept["drop_count"]),
                      (stored[name], records - stored[name], 0),
                      f"counts of logger {name}: " + self.said())

    def stop(self):
        for name in reversed(self.stages):
            stage = self.stages[name]
            stage.process.send_signal(signal.SIGTERM)
            tap.equal(stage.process.wait(60), 0, f"exit of {name}: " +
                      self.said())
