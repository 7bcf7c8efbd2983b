#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""The command lines of README as a person types them, in a shell, with their
own port, in a network of their own."""
import json
import os
import shutil
import subprocess
import time

import netflow
import pipeline
import tap

COLLECT = "flowrecv 9090 | flowdecode | flowlog | flowstore netflows"
ASK = ("flowq 'table netflows | stats count, sum(octet_count), "
       "sum(packet_count)'")
FILTER = ("flowrecv --read capture.pcap | flowdecode | flowlog --source-id 106 "
          "--fields src_addr,dst_addr,octet_count --format json")
TOP = ("flowq 'table duration=1h netflows | search dst_port == 443 | "
       "stats count, sum(octet_count) as octets by src_addr | "
       "sort limit=10 -octets'")


def environment(scratch):
    folders = [os.path.dirname(tap.program(name))
               for name in pipeline.STAGES + ("flowq", "gen")]
    return dict(os.environ, FLOW_ROOT=str(scratch / "tables"),
                PATH=":".join(folders + [os.environ["PATH"]]))


def bash(scratch, text, *around):
    done = subprocess.run([*around, "bash", "-c", text], cwd=scratch,
                          env=environment(scratch), text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL)
    tap.equal(done.returncode, 0, f"exit ({done.stderr.strip()})")
    return done


def own_network():
    """What to put before a command for a loopback device of its own."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        raise tap.Skip("no unshare or ip")
    around = ["unshare", "-n"] if os.getuid() == 0 else ["unshare", "-rn"]
    if subprocess.run([*around, "ip", "link", "set", "lo", "up"],
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise tap.Skip("network namespaces are not allowed")
    return around


def collect(scratch):
    """Runs the one-liner as an interactive shell would, sends, Ctrl-C."""
    text = f"""
        ip link set lo up
        set -m
        {COLLECT} &
        for i in $(seq 200); do
            ! grep -q ':2382 ' /proc/net/udp /proc/net/udp6 || break
            sleep 0.05
        done
        for version in 5 9; do
            gen --version $version --flows 3000 --rate 100000 \\
                --to 127.0.0.1:9090 --summary || exit 3
        done
        kill -INT -- -$(jobs -p %1)
        wait %1
    """
    said = bash(scratch, text, *own_network()).stderr
    found = [json.loads(x) for x in said.splitlines() if x.startswith("{")]
    return {key: sum(s[key] for s in found) for key in found[0]}


def test_collect_and_ask(scratch):
    """flowrecv 9090 | ... | flowstore netflows, then flowq"""
    said = collect(scratch)
    tap.equal(bash(scratch, ASK).stdout,
              "{count=%d, sum(octet_count)=%d, sum(packet_count)=%d}\n" %
              (said["flows"], said["octets"], said["packets"]), "answer")
    rows = bash(scratch, TOP).stdout.splitlines()
    tap.equal(len(rows), 10, "rows")
    octets = [int(row.split("octets=")[1].split(",")[0]) for row in rows]
    tap.equal(octets, sorted(octets, reverse=True), "order")


def test_filter(scratch):
    """flowrecv --read capture.pcap | ... | flowlog --source-id 106 --fields"""
    said = netflow.generate("--pcap", scratch / "capture.pcap", "--exporters",
                            110, "--flows", 26 * 220)
    rows = [json.loads(x) for x in bash(scratch, FILTER).stdout.splitlines()]
    tap.equal({tuple(sorted(row)) for row in rows},
              {("dst_addr", "octet_count", "src_addr")}, "fields")
    assert 40 <= len(rows) <= 60, f"{len(rows)} of {said['flows']}"


def test_missing_table(scratch):
    """a table that is not there is an error that names those that are"""
    netflow.generate("--pcap", scratch / "capture.pcap", "--flows", 100)
    bash(scratch, "flowrecv --read capture.pcap | flowdecode | flowlog | "
         "flowstore netflows")
    done = subprocess.run(["bash", "-c", "flowq 'table netflow'"],
                          env=environment(scratch), text=True,
                          stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    tap.equal((done.returncode, done.stdout), (1, ""), "exit")
    assert "netflows" in done.stderr, done.stderr


tap.main(globals())
