#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""system pipeline: the ledger end to end, of programs that run."""
import os
import signal
import socket
import struct
import subprocess
import time

import chaos
import netflow
import pipeline
import scrape
import tap
import v9

CLOCK = 3000  # seconds that the exporter is ahead


def v9_message(sequence, *sets):
    return struct.pack(">HHIIII", 9, len(sets), 1000, int(time.time()) + CLOCK,
                       sequence, 7) + b"".join(sets)


TEMPLATE = v9.template(256, (7, 2), (4, 1))


def records(*ports):
    return v9.a_set(256, b"".join(struct.pack(">HB", p, 6 if p < 100 else 17)
                                  for p in ports))


class Source:
    def __init__(self, line, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", line.port))

    def send(self, *payloads):
        for p in payloads:
            self.socket.send(p)


def ask(scratch):
    """Rows by stage and name."""
    os.environ["FLOW_STATS"] = str(scratch / "stats.json")
    os.environ["FLOW_LOGGERS"] = str(scratch / "flowlog")
    return {(r["stage"], r["name"]): r
            for r in pipeline.query(scratch / "root", "system pipeline")}


def holds(row, **wanted):
    return row is not None and all(row[k] == v for k, v in wanted.items())


def until(scratch, stage, name, **wanted):
    """The row, once it has these values."""
    seen = {}

    def test():
        seen.update(row=ask(scratch).get((stage, name)))
        return holds(seen["row"], **wanted)
    try:
        netflow.wait_for(test, f"{stage} {name}", 30)
    except AssertionError:
        raise AssertionError(f"{seen}, wanted {wanted}")
    return seen["row"]


def test_rows(scratch):
    """what came, by binding, exporter and logger, and what became of it"""
    with chaos.Line(scratch, 1) as line:
        a, b = Source(line, "127.0.1.1"), Source(line, "127.0.1.2")
        began = time.time()
        a.send(v9_message(0, TEMPLATE, records(80, 99, 500)),
               v9_message(3, records(50, 501)),  # 2 are missing
               v9_message(4, v9.a_set(300, b"waits")),
               v9_message(5, v9.a_set(77, b"....")))
        b.send(b"no NetFlow")
        until(scratch, "flowrecv", "p", received=5, filtered=0, dropped=0,
              waiting=0, kernel_dropped=0)
        x = until(scratch, "flowdecode", "127.0.1.1", version=9, source_id=7,
                  received=4, gaps=1, missing=2, waiting=1, malformed=1,
                  expired=0, records=5, dropped=0)
        tap.equal(CLOCK - 2 < x["clock_offset"] < CLOCK + 2, True, str(x))
        tap.equal(0 <= x["silent"] <= time.time() - began + 1, True, str(x))
        until(scratch, "flowdecode", "127.0.1.2", version=0, received=1,
              malformed=0, clock_offset=None)
        until(scratch, "flowlog", "all", received=5, filtered=0, stored=5,
              dropped=0, waiting=0, lost=0)
        until(scratch, "flowlog", "tcp", received=5, filtered=2, stored=3,
              dropped=0, waiting=0, lost=0)
        tap.equal(len(ask(scratch)), 5, "rows")
        time.sleep(1.1)
        y = ask(scratch)["flowdecode", "127.0.1.1"]
        tap.equal(y["silent"] > x["silent"] + 1, True, f"{x} {y}")


def test_waiting(scratch):
    """what waits for a logger that is away, and a stage that does not answer"""
    with chaos.Line(scratch, 1) as line:
        a = Source(line, "127.0.1.1")
        a.send(v9_message(0, TEMPLATE, records(80)))
        for name in "all", "tcp":
            until(scratch, "flowlog", name, stored=1, waiting=0)
        line.stages["flowlog all"].process.send_signal(signal.SIGSTOP)
        a.send(v9_message(1, records(81, 82, 83)))
        until(scratch, "flowlog", "tcp", stored=4, waiting=0)
        until(scratch, "flowlog", "all", stored=1, waiting=3)
        line.stages["flowlog all"].process.send_signal(signal.SIGCONT)
        until(scratch, "flowlog", "all", stored=4, waiting=0)
        line.stages["flowrecv"].process.send_signal(signal.SIGSTOP)
        why = ask(scratch)["flowrecv", None]["problem"]
        tap.equal(why, "flowrecv does not answer", "problem")
        line.stages["flowrecv"].kill()
        why = ask(scratch)["flowrecv", None]["problem"]
        tap.equal(str(scratch / "run" / "flowrecv.sock") in why, True, why)
        line.stages["flowrecv"].start()
        until(scratch, "flowrecv", "p", kernel_dropped=0)


def test_absent(scratch):
    """without any stage there is a row for each that says so"""
    (scratch / "run").mkdir()
    os.environ["FLOW_STATS"] = str(scratch / "stats.json")
    os.environ["FLOW_LOGGERS"] = str(scratch / "no")
    rows = pipeline.query(scratch, "system pipeline | fields stage, problem")
    tap.equal([r["stage"] for r in rows], ["flowrecv", "flowdecode",
                                           "flowlog"], "stages")
    tap.equal(all(r["problem"] for r in rows), True, str(rows))
    for text in "", "[]", "{", '{"total":{},"exporters":3}', "\0" * 99:
        (scratch / "stats.json").write_text(text)
        pipeline.query(scratch, "system pipeline")
    done = subprocess.run([tap.program("flowq"), "system pipeline stats=x"],
                          stderr=subprocess.PIPE, text=True)
    tap.equal((done.returncode, "FLOW_STATS" in done.stderr), (1, True),
              done.stderr)


def test_metrics(scratch):
    """/metrics of flowdecode: silence, clocks, and what waits for readers"""
    port = scrape.free_port()
    with chaos.Line(scratch, 1) as line:
        decode = line.stages["flowdecode"]
        decode.command += ["--metrics", str(port)]
        decode.again()
        a = Source(line, "127.0.1.1")
        a.send(v9_message(0, TEMPLATE, records(80)))
        until(scratch, "flowlog", "all", stored=1, waiting=0)
        got = scrape.scrape(port)
        who = (("exporter", "127.0.1.1"), ("source_id", "7"), ("version", "9"))
        clock = got["flowdecode_exporter_clock_offset_seconds", *who]
        tap.equal(CLOCK - 2 < clock < CLOCK + 2, True, f"clock {clock}")
        silent = got["flowdecode_exporter_silent_seconds", *who]
        tap.equal(0 <= silent < 30, True, f"silent {silent}")
        for name in "all", "tcp":
            for what in "waiting", "lost_total":
                tap.equal(got[f"flowdecode_reader_records_{what}",
                              ("reader", name)], 0, f"{what} for {name}")
        decode.again()  # the ledger is kept
        netflow.wait_for(lambda: scrape.scrape(port).get(
            ("flowdecode_exporter_datagrams_total", *who)) == 1, "the count")


tap.main(globals())
