#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""--metrics of all programs."""
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time

import netflow
import packets
import readers
import receiver
import scrape
import tap

FILTERS = "flowdecode", "flowlog", "flowstore"


class Stage:
    """A filter with -v and --metrics that reads what it is given."""

    def __init__(self, scratch, name, *args, where=None):
        self.port = scrape.free_port()
        self.err = scratch / (name + ".err")
        with open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [tap.program(name), "-v", "--metrics",
                 where or f"127.0.0.1:{self.port}", *map(str, args)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def give(self, data, wanted, least):
        """Until the metric WANTED is so much; all of them."""
        self.process.stdin.write(data)
        self.process.stdin.flush()
        return netflow.wait_for(
            lambda: (m := scrape.scrape(self.port))[wanted,] >= least and m,
            f"{wanted} to be {least}")

    def end(self):
        """Ends the input; what it wrote, and said."""
        out = self.process.communicate(timeout=30)[0]
        tap.equal(self.process.returncode, 0, "exit status")
        return out, self.err.read_text()


def some_datagrams(scratch):
    """A datagram stream: v9 with a template, and one that is no NetFlow."""
    netflow.generate("--pcap", scratch / "x", "--flows", 1000, "--version", 9)
    (scratch / "bad").write_bytes(packets.pcap(
        [packets.ipv4(packets.udp(b"nonsense"))], packets.RAW))
    return b"".join(receiver.run("--read", scratch / name).stdout
                    for name in ("x", "bad"))


def ledger(words):
    return {k: int(v) for k, v in (w.split("=") for w in words)}


def test_stages(scratch):
    """the values of flowdecode, flowlog and flowstore are those of -v"""
    with Stage(scratch, "flowdecode") as s:
        got = s.give(some_datagrams(scratch), "flowdecode_bad_version_total", 1)
        batches, said = s.end()
    total = re.search("flowdecode: total: (.*)", said)[1].split()
    figures = re.search("flowdecode: (exporters=.*)", said)[1].split()
    one = re.search("(198[0-9.]+) version 9 source ([0-9]+): (.*)", said)
    labels = (("exporter", one[1]), ("source_id", one[2]), ("version", "9"))
    wanted = ledger(total)
    tap.equal(wanted["records"] >= 1000 and wanted["datagrams"] >= 40, True)
    unseen = {k[0] for k in got}
    for what, suffix, value in (
            [("", k, v) for k, v in wanted.items()] +
            [("_exporter", k, v) for k, v in ledger(one[3].split()).items()]):
        name = f"flowdecode{what}_{suffix}"
        if suffix not in ("missing", "sets_waiting"):
            name += "_total"
        tap.equal(got[(name, *(labels if what else ()))], value, name)
        unseen.discard(name)
    figures = ledger(figures)
    for name, key in (("exporters", "exporters"), ("shapes", "shapes"),
                      ("exporters_evicted_total", "evicted"),
                      ("waiting_bytes", "waiting_bytes")):
        tap.equal(got["flowdecode_" + name,], figures[key], name)
        unseen.discard("flowdecode_" + name)
    unseen.discard("flowdecode_batches_total")  # the last ones come at the end
    for name in unseen:
        if "_exporter_" in name:
            continue  # of the other exporter
        tap.equal({v for k, v in got.items() if k[0] == name}, {0}, name)

    with Stage(scratch, "flowlog", "--source-id", "0") as s:
        got = s.give(batches, "flowlog_records_in_total", 1000)
        out, said = s.end()
    n = re.search(r"records: in (\d+), filtered (\d+), dropped (\d+), out "
                  r"(\d+) \(in (\d+) batches", said).groups()
    tap.equal({k[0]: v for k, v in got.items()}, {
        f"flowlog_{name}_total": int(v) for name, v in zip(
            ("records_in", "records_filtered", "records_dropped",
             "records_out", "batches"), n)})

    with Stage(scratch, "flowstore", "--root", scratch, "t") as s:
        got = s.give(batches, "flowstore_records_stored_total", 1000)
        said = s.end()[1]
    found = re.search(r"stored (\d+), duplicates (\d+), dropped (\d+); (\d+) "
                      r"blocks, (\d+) pieces, (\d+) bytes in (\d+) commits",
                      said)
    tap.equal([got[f"flowstore_records_{k}_total",] for k in
               ("stored", "duplicate", "dropped")],
              [int(found[k]) for k in (1, 2, 3)])
    for name in "blocks", "pieces", "bytes", "commits", "segments":
        tap.equal((f"flowstore_{name}_total",) in got, True, name)


def test_flowrecv(scratch):
    """those of flowrecv, with labels of port and exporter"""
    a, b, other = receiver.free_ports(3)
    port = scrape.free_port()
    with receiver.Receiver(scratch, f"a={a}", "--allow=127.0.0.1",
                           f"--metrics=127.0.0.1:{port}",
                           f"--tee=udp:127.0.0.1:{other}") as r:
        r.open("b-1.x_y", b)
        r.open("c", receiver.free_ports(1)[0])
        receiver.send(a, [b"x"] * 3)
        receiver.send(b, [b"x"] * 2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.2", 0))
            s.sendto(b"x", ("127.0.0.1", a))
        r.wait_received(6)
        tap.equal(r.control("close", "c")[0], 0)
        r.freeze()
        receiver.send(a, [b"y"] * 10)
        r.thaw()
        r.wait_received(16)
        compare(r, scrape.scrape(port))
        tap.equal(r.control("close", "a")[0], 0)
        got = scrape.scrape(port)
        closed = (("binding", "(closed)"),)
        tap.equal(got[("flowrecv_datagrams_received_total", *closed)], 14)
        tap.equal(got[("flowrecv_datagrams_refused_total", *closed)], 1)
        compare(r, got)


def compare(r, got):
    r.ask()
    counters, (exporters, known, evicted) = r.counters(), r.exporters()
    lines = r.said().rsplit("flowrecv: exporters: known", 1)[1].splitlines()
    exporters = {k: v for k, v in exporters.items() if any(
        line.startswith(f"flowrecv: {k[0]} {k[1]}: ") for line in lines)}
    if "closed ports" in counters:
        counters["(closed)"] = counters.pop("closed ports")
    listed = re.findall("flowrecv: (.+): received .* kernel",
                        r.said().rsplit("known", 2)[-2])
    names = {"received": "received_total", "refused": "refused_total",
             "dropped": "dropped_total", "queued": "queued",
             "sent": "sent_total"}
    tee = re.findall(r"copies to (\S+): sent (\d+), failed (\d+)", r.said())
    target = ("target", tee[-1][0])
    wanted = {("flowrecv_tee_datagrams_sent_total", target): int(tee[-1][1]),
              ("flowrecv_tee_datagrams_failed_total", target): int(tee[-1][2]),
              ("flowrecv_exporters",): known,
              ("flowrecv_exporters_evicted_total",): evicted}
    for name in listed:
        c = counters[name := name.replace("closed ports", "(closed)")]
        label = ("binding", name)
        wanted["flowrecv_kernel_dropped_total", label] = c["kernel"]
        for key, metric in names.items():
            wanted["flowrecv_datagrams_" + metric, label] = c[key]
    for (name, address), c in exporters.items():
        for key, metric in names.items():
            wanted["flowrecv_exporter_datagrams_" + metric, (
                "binding", name), ("exporter", address)] = c[key]
    tap.equal(got, wanted)


def test_readers(scratch):
    """readers of flowrecv's --serve, whatever they call themselves"""
    port, = receiver.free_ports(1)
    at = scrape.free_port()
    path = scratch / "s"
    odd = 'a"b\\c\nd'
    with receiver.Receiver(scratch, "--serve", path, port,
                           f"--metrics=127.0.0.1:{at}") as r:
        with readers.reader(path, odd) as a, readers.reader(path) as b, \
                readers.reader(path) as c:
            receiver.send(port, [b"x"] * 10)
            for x in a, b, c:
                x.take(10)
            wanted = {}
            for name, n in (odd, 10), ("", 20):
                label = ("reader", name)
                wanted["flowrecv_reader_datagrams_sent_total", label] = n
                wanted["flowrecv_reader_datagrams_skipped_total", label] = 0
            netflow.wait_for(lambda: wanted == {
                k: v for k, v in scrape.scrape(at).items()
                if "_reader_" in k[0]}, "the values")
            lines = r.control("stats")[1].splitlines()
            tap.equal(lines[1:3], ["reader a?b?c?d: sent 10, skipped 0",
                                   "readers without a name: sent 20, skipped 0"])
            out = r.control("stats", "--json")[1].splitlines()
            tap.equal([json.loads(line) for line in out[1:3]],
                      [{"reader": "a?b?c?d", "sent": 10, "skipped": 0},
                       {"reader": "", "sent": 20, "skipped": 0}])
            a.mark(10)


def test_address(scratch):
    """where it listens: 127.0.0.1, an IPv6 address, and what is none"""
    port = scrape.free_port()
    with Stage(scratch, "flowlog", where=str(port)):
        tap.equal(scrape.get(port)[0], "HTTP/1.1 200 OK")
    with Stage(scratch, "flowlog", where=f"[::1]:{port}"):
        tap.equal(len(scrape.scrape(port, "::1")), 5)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        used = s.getsockname()[1]
        for where, why in (
                ("x", "'x' is no port: 1 to 65535"),
                ("127.0.0.1:70000", "'70000' is no port: 1 to 65535"),
                (":9", "must be ADDRESS:PORT, an IPv6 address in brackets"),
                (f"127.0.0.1:{used}", "cannot listen: Address already in use"),
                ("192.0.2.1:9999",
                 "cannot listen: Cannot assign requested address")):
            for name, *args in (("flowlog",), ("flowdecode",),
                                ("flowstore", "--root", scratch, "t"),
                                ("flowrecv", receiver.free_ports(1)[0])):
                done = subprocess.run(
                    [tap.program(name), "--metrics", where, *map(str, args)],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, timeout=30)
                tap.equal((done.returncode, done.stdout, done.stderr),
                          (1, "", f"{name}: --metrics {where}: {why}\n"))


def test_http(scratch):
    """other paths, other methods, and what is no HTTP"""
    with Stage(scratch, "flowlog") as s:
        tap.equal(scrape.get(s.port, "/")[0].split()[1], "404")
        for method in "POST", "DELETE", "HEAD":
            got, _, _ = scrape.http(
                s.port, f"{method} /metrics HTTP/1.1\r\nHost: x\r\n"
                "Connection: close\r\n\r\n".encode())
            tap.equal(got.split()[1], "501", method)
        with socket.create_connection(("127.0.0.1", s.port), 30) as c:
            try:
                c.sendall(b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n")
                c.recv(100)
            except ConnectionError:
                pass
        with socket.create_connection(("127.0.0.1", s.port), 30) as c:
            c.sendall(bytes(range(256)) * 4 + b"\r\n\r\n")
            c.settimeout(30)
            try:
                tap.equal(b" 200 " in c.recv(1000), False)
            except ConnectionError:
                pass
        tap.equal(len(scrape.scrape(s.port)), 5, "it goes on")


class Crowd:
    """Connections that say nothing, half a request, the next byte of one now
    and then, or ask a hundred times and never read."""
    BEGINS = (b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: ", b"G",
              b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)

    def __init__(self, port, n):
        self.held = []
        for i in range(n):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", port))
            self.held.append(s)
            self.drip(s, self.BEGINS[i % 4])

    @staticmethod
    def drip(s, data):
        try:
            s.send(data)
        except OSError:
            pass

    def drip_all(self):
        for s in self.held:
            self.drip(s, b"x")

    def close(self):
        for s in self.held:
            s.close()


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def held_off(process, port, size, many):
    """So many such clients, twice; SIZE samples for one who asks as they are
    held."""
    before = descriptors(process)
    crowds = [Crowd(port, many), Crowd(port, many)]
    for crowd in crowds:
        tap.equal(descriptors(process) <= before + 32, True,
                  "descriptors are bounded")
        tap.equal(len(scrape.scrape(port)) >= size, True, "an answer")
        crowd.drip_all()
    for crowd in crowds:
        crowd.close()
    tap.equal(len(scrape.scrape(port)) >= size, True, "an answer after them")
    netflow.wait_for(lambda: descriptors(process) <= before,
                     "no descriptor is left")


def test_crowd(scratch):
    """clients that hold on: few at a time, and others are answered"""
    for name, *args in (("flowdecode",), ("flowlog",),
                        ("flowstore", "--root", scratch / "r", "t")):
        with Stage(scratch, name, *args) as s:
            size = len(scrape.scrape(s.port))
            held_off(s.process, s.port, size, 150)


def test_crowd_reception(scratch):
    """a thousand of them: flowrecv receives; and with no descriptor left"""
    udp, = receiver.free_ports(1)
    port = scrape.free_port()
    with receiver.Receiver(scratch, f"--metrics={port}", udp) as r:
        n = descriptors(r.process)
        crowd = Crowd(port, 500)
        receiver.send(udp, [b"x" * 1000] * 1000)
        r.wait_received(1000)
        held_off(r.process, port, 5, 500)
        crowd.close()
        netflow.wait_for(lambda: descriptors(r.process) == n, "all to go")
        resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (n + 2, 4096))
        crowd = Crowd(port, 100)
        receiver.send(udp, [b"x" * 1000] * 1000)
        netflow.wait_for(lambda: descriptors(r.process) == n + 2, "the last")
        crowd.close()
        tap.equal(len(scrape.scrape(port)) >= 5, True, "then all is well")
        r.wait_received(2000)
        tap.equal(len(r.datagrams()), 2000, "datagrams")


def test_life(scratch):
    """a client that goes on and on is let go, however it does"""
    if not os.environ.get("FLOW_TEST_LIFE"):
        raise tap.Skip("set FLOW_TEST_LIFE; it takes half a minute")
    with Stage(scratch, "flowlog") as s:
        scrape.scrape(s.port)
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            begin = time.monotonic()
            c.sendall(b"GET /metrics HTTP/1.1\r\n")
            c.settimeout(1)
            while True:
                try:
                    c.sendall(b"A: b\r\n")
                    if not c.recv(100):
                        break
                except TimeoutError:
                    pass
                except ConnectionError:
                    break
            took = time.monotonic() - begin
            tap.equal(29 < took < 60, True, f"{took} s")


def test_stop(scratch):
    """SIGTERM ends a filter although a scraper is connected"""
    with Stage(scratch, "flowlog") as s:
        scrape.scrape(s.port)
        with socket.create_connection(("127.0.0.1", s.port), 30):
            s.process.send_signal(signal.SIGTERM)
            tap.equal(s.process.wait(30), 0, "exit status")


tap.main(globals())
