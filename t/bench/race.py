# SPDX-License-Identifier: BSD-2-Clause
"""Collectors that take the same load, for run and queries: our pipeline, and
nfcapd with nfdump."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import netflow  # noqa: E402
import pipeline  # noqa: E402
import tap  # noqa: E402

SENDER_CPU = os.cpu_count() - 1


class Usage:
    """CPU seconds of processes that were waited for."""

    def __init__(self):
        self.by_name = {}

    def wait(self, name, process):
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.by_name[name] = (used.ru_utime, used.ru_stime)
        return process.returncode

    def user(self):
        return sum(u for u, _ in self.by_name.values())

    def total(self):
        return sum(u + s for u, s in self.by_name.values())


def disk_bytes(folder):
    return sum(p.stat().st_blocks * 512 for p in folder.rglob("*")
               if p.is_file())


class Ours:
    name = "flow"

    def __init__(self, folder, store_options=()):
        self.folder = folder
        self.root = folder / "tables"
        self.store_options = store_options

    def start(self):
        self.folder.mkdir()
        self.port = netflow.free_port()
        self.line = pipeline.Pipeline(
            self.folder, ["flowrecv", f"127.0.0.1:{self.port}"],
            ["flowdecode"], ["flowlog"],
            ["flowstore", "--root", self.root, *self.store_options, "t"])

    def processes(self):
        return list(zip(self.line.names, self.line.processes))

    def stop(self):
        self.line.interrupt()

    def flows(self):
        return pipeline.totals(self.root, "t")["flows"]

    def stored(self):
        return disk_bytes(self.root)

    def sees_flows(self):
        done = subprocess.run(
            [tap.program("flowq"), "--root", str(self.root), "--format",
             "csv", "table t | stats count"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout.split()[1:] not in ([], ["0"])

    def query(self, question):
        command = [tap.program("flowq"), "--root", str(self.root), "--format",
                   "json", "table t | " + question[2]]
        text, took = timed(command)
        return [json.loads(line) for line in text.splitlines()], took


class Nfcapd:
    rotation = 3600

    def __init__(self, folder, *options):
        self.folder = folder
        self.options = options

    def start(self):
        self.folder.mkdir()
        self.port = netflow.free_port()
        self.process = subprocess.Popen(
            ["nfcapd", "-b", "127.0.0.1", "-p", str(self.port), "-w",
             str(self.folder), "-t", str(self.rotation), "-B", "67108864", *self.options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def processes(self):
        return [("nfcapd", self.process)]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def flows(self):
        text = subprocess.run(["nfdump", "-I", "-R", str(self.folder)],
                              text=True, stdout=subprocess.PIPE).stdout
        found = re.search(r"^Flows: (\d+)", text, re.M)
        return int(found[1]) if found else 0

    def stored(self):
        return disk_bytes(self.folder)

    def sees_flows(self):
        return self.flows() > 0

    def query(self, question):
        text, took = timed(["nfdump", "-R", str(self.folder), "-N",
                            *question[1]])
        return nfdump_rows(text, question[1]), took


def nfdump_rows(text, asked):
    """Comparable with ours: a total, or the bytes of the top 10.  Port 0 is
    left out, for nfdump counts all of ICMP there, whatever its type."""
    if "-s" in asked:
        rows = re.findall(r"^\d{4}-.* any +(\S+) +(.*)$", text, re.M)
        return [int(nfdump_columns(rest)[2]) for key, rest in rows
                if key != "0"][:10]
    found = re.search(r"total flows: (\d+), total bytes: (\d+), "
                      r"total packets: (\d+)", text)
    return list(map(int, found.groups()))


def nfdump_columns(row):
    """Flows, packets and bytes of a line of nfdump -s."""
    return re.findall(r"(\d+)\(\s*[\d.]+\)", row)


def timed(command):
    """Best of three, the first run warming up what is not warm."""
    best = None
    for _ in range(3):
        begin = time.monotonic()
        text = subprocess.run(command, check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        took = time.monotonic() - begin
        best = took if best is None else min(best, took)
    return text, best


def generator(version, flows, rate):
    """A sender for load()."""
    return lambda port: netflow.generate(
        "--to", f"127.0.0.1:{port}", "--version", version,
        "--flows", flows, "--rate", int(rate), "--cpu", SENDER_CPU)


def load(collector, send):
    """One run: what was sent, stored and lost, and what it cost."""
    shutil.rmtree(collector.folder, ignore_errors=True)
    collector.start()
    try:
        netflow.wait_bound(collector.port)
        sent = send(collector.port)
        ended = time.monotonic()
        netflow.wait_read(collector.port)
        drops = netflow.kernel_drops(collector.port)
    finally:
        collector.stop()
    usage = Usage()
    for name, process in collector.processes():
        usage.wait(name, process)
    return {"sent": sent["flows"], "rate": sent["rate"], "drops": drops,
            "drain": time.monotonic() - ended, "usage": usage,
            "stored": collector.flows()}
