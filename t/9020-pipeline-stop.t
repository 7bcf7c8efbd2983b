#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Stopping the pipeline in every way: what was received is in the table."""
import re
import signal
import subprocess
import time

import netflow
import pipeline
import tap


def send(port, *options):
    return netflow.generate("--to", f"127.0.0.1:{port}", *options)


def check(scratch, version, stop, clean=True):
    """Sends, stops the moment that the last datagram is sent, compares."""
    port = netflow.free_port()
    with pipeline.collector(scratch, port) as line:
        said = send(port, "--version", version, "--flows", 200000, "--rate",
                    100000)
        dropped = netflow.kernel_drops(port)
        stop(line)
        if clean:
            line.expect_clean()
        else:
            line.wait()
    tap.equal(dropped, 0, "datagrams that the kernel dropped")
    got = pipeline.totals(scratch / "tables")
    tap.equal(got, {key: said[key] for key in got}, "totals")


def test_interrupt_v9(scratch):
    """Ctrl-C on the process group right after 200,000 flows: all are there"""
    check(scratch, 9, lambda line: line.interrupt())


def test_interrupt_v5(scratch):
    """the same with v5"""
    check(scratch, 5, lambda line: line.interrupt())


def test_terminate_source(scratch):
    """SIGTERM to flowrecv alone: the stages drain one after another"""
    check(scratch, 9,
          lambda line: line.process("flowrecv").send_signal(signal.SIGTERM))


def test_terminate_group(scratch):
    """SIGTERM to the process group, as systemd does: all are there"""
    check(scratch, 9, lambda line: line.interrupt(signal.SIGTERM))


def test_interrupt_under_load(scratch):
    """Ctrl-C while datagrams come: every datagram received is in the table"""
    port = netflow.free_port()
    root = scratch / "tables"
    with pipeline.collector(scratch, port, "--verbose") as line:
        sender = subprocess.Popen(
            [tap.program("gen"), "--version", "5", "--rate", "50000",
             "--flows", "3000000", "--to", f"127.0.0.1:{port}"],
            stderr=subprocess.DEVNULL)
        netflow.wait_for((root / "netflows" / "00000001.flow").exists,
                         "the table")
        netflow.wait_for(lambda: pipeline.totals(root)["flows"], "flows")
        line.interrupt()
        line.expect_clean()
        tap.equal(sender.wait(20), 1, "exit of gen, nobody being there")
        said = re.search(r"received (\d+),", line.errors("flowrecv"))
    tap.equal(pipeline.totals(root)["flows"], 30 * int(said[1]), "flows")


def test_kill_source(scratch):
    """kill -9 of flowrecv: what it handed on is in the table"""
    port = netflow.free_port()
    with pipeline.collector(scratch, port) as line:
        said = send(port, "--flows", 50000, "--rate", 100000)
        netflow.wait_read(port)
        time.sleep(0.5)
        line.process("flowrecv").kill()
        codes = line.wait()
    tap.equal(codes, {"flowrecv": -9, "flowdecode": 0, "flowlog": 0,
                      "flowstore": 0}, "exits")
    got = pipeline.totals(scratch / "tables")
    tap.equal(got, {key: said[key] for key in got}, "totals")


def test_second_interrupt(scratch):
    """a second Ctrl-C quits at once, and the table opens"""
    port = netflow.free_port()
    with pipeline.collector(scratch, port) as line:
        said = send(port, "--flows", 30000, "--rate", 100000)
        netflow.wait_for(
            lambda: pipeline.totals(scratch / "tables")["flows"], "flows")
        line.process("flowdecode").send_signal(signal.SIGSTOP)
        line.interrupt()
        time.sleep(0.2)
        line.interrupt()
        line.process("flowdecode").send_signal(signal.SIGCONT)
        line.wait(10)
    got = pipeline.totals(scratch / "tables")
    assert 0 < got["flows"] <= said["flows"], got


def test_within_a_second(scratch):
    """a lone datagram is in the table within a second"""
    port = netflow.free_port()
    root = scratch / "tables"
    with pipeline.collector(scratch, port) as line:
        send(port, "--flows", 24)
        netflow.wait_for(lambda: pipeline.totals(root)["flows"] == 24, "24")
        begin = time.monotonic()
        send(port, "--version", 5, "--flows", 30)
        netflow.wait_for(lambda: pipeline.totals(root)["flows"] == 54, "54")
        took = time.monotonic() - begin
        line.interrupt()
        line.expect_clean()
    tap.comment(f"{took:.2f} s")
    assert took < 2.5, f"{took} s"


def test_append(scratch):
    """a second run appends to the table"""
    total = 0
    for _ in range(2):
        port = netflow.free_port()
        with pipeline.collector(scratch, port) as line:
            total += send(port, "--flows", 1000)["flows"]
            line.interrupt()
            line.expect_clean()
    tap.equal(pipeline.totals(scratch / "tables")["flows"], total, "flows")


tap.main(globals())
