# SPDX-License-Identifier: BSD-2-Clause
"""The five programs as a shell would start them: one process group, joined by
pipes, each stage's stderr in a file of its own."""
import json
import os
import signal
import subprocess
import time

import netflow
import tap

STAGES = ("flowrecv", "flowdecode", "flowlog", "flowstore")


class Pipeline:
    """STAGES are lists of arguments, the first the program's name.  The last
    one's stdout is in the file `output`."""

    def __init__(self, scratch, *stages):
        self.scratch = scratch
        self.names = [stage[0] for stage in stages]
        self.processes = []
        self.group = 0
        stdin = subprocess.DEVNULL
        for i, stage in enumerate(stages):
            last = i == len(stages) - 1
            stdin = self.start(stage, stdin, last)

    def start(self, stage, stdin, last):
        out = open(self.scratch / "output", "wb") if last else subprocess.PIPE
        with open(self.scratch / f"{stage[0]}.err", "wb") as err:
            process = subprocess.Popen(
                [tap.program(stage[0]), *map(str, stage[1:])], stdin=stdin,
                stdout=out, stderr=err, process_group=self.group)
        if self.group == 0:
            self.group = process.pid
        if stdin != subprocess.DEVNULL:
            stdin.close()
        if last:
            out.close()
        self.processes.append(process)
        return process.stdout

    def interrupt(self, number=signal.SIGINT):
        """Ctrl-C: every stage gets it."""
        os.killpg(self.group, number)

    def process(self, name):
        return self.processes[self.names.index(name)]

    def errors(self, name):
        return (self.scratch / f"{name}.err").read_text(errors="replace")

    def wait(self, seconds=60):
        """Exit codes of all stages, by name."""
        end = time.monotonic() + seconds
        codes = {}
        for name, process in zip(self.names, self.processes):
            left = max(0.1, end - time.monotonic())
            codes[name] = process.wait(left)
        return codes

    def expect_clean(self, seconds=60):
        codes = self.wait(seconds)
        said = "; ".join(f"{n}: {self.errors(n)}" for n in self.names)
        tap.equal(codes, dict.fromkeys(self.names, 0), f"exits ({said})")

    def kill(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def collector(scratch, port, *options):
    """The one-liner on a loopback port, listening; options of flowrecv."""
    line = Pipeline(scratch, ["flowrecv", *options, f"127.0.0.1:{port}"],
                    ["flowdecode"], ["flowlog"],
                    ["flowstore", "--root", scratch / "tables", "netflows"])
    try:
        netflow.wait_bound(port)
    except AssertionError:
        line.kill()
        raise AssertionError(line.errors("flowrecv"))
    return line


def query(root, text, *options):
    """The rows that flowq prints as JSON."""
    done = subprocess.run([tap.program("flowq"), "--root", str(root),
                           "--format", "json", *options, text],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)
    tap.equal(done.returncode, 0, f"exit of flowq ({done.stderr.strip()})")
    return [json.loads(line) for line in done.stdout.splitlines()]


def totals(root, table="netflows"):
    """flows, octets, packets of a table."""
    row, = query(root, f"table {table} | stats count as flows, "
                 "sum(octet_count) as octets, sum(packet_count) as packets")
    return row


def stream(command, data, **kwargs):
    """Runs one stage over bytes: (exit, stdout, stderr)."""
    done = subprocess.run([tap.program(command[0]), *map(str, command[1:])],
                          input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, **kwargs)
    return (done.returncode, done.stdout,
            done.stderr.decode(errors="replace"))


def datagrams(scratch, *options):
    """What flowrecv makes of a generated capture, and the totals in it."""
    path = scratch / "gen.pcap"
    said = netflow.generate("--pcap", path, *options)
    code, out, err = stream(["flowrecv", "--read", path], b"")
    tap.equal((code, err), (0, ""), "flowrecv --read")
    return out, said
