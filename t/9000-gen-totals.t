#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""The generator: others read from its datagrams what it says it sent."""
import subprocess

import netflow
import tap


def tshark(path, *fields):
    """A list of rows; each field a list of numbers."""
    netflow.need("tshark")
    command = ["tshark", "-r", str(path), "-d", "udp.port==2055,cflow", "-T",
               "fields", "-E", "occurrence=a"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, text=True, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [[[int(x, 0) for x in cell.split(",") if x]
             for cell in line.split("\t")] for line in done.stdout.splitlines()]


def check_capture(scratch, version, exporters):
    path = scratch / "gen.pcap"
    said = netflow.generate("--version", version, "--flows", 5000, "--pcap",
                            path, "--exporters", exporters, "--rate", 1000)
    rows = tshark(path, "cflow.octets", "cflow.packets", "cflow.protocol",
                  "cflow.sequence", "cflow.version")
    tap.equal(len(rows), said["datagrams"], "datagrams")
    tap.equal(sum(len(r[0]) for r in rows), said["flows"], "flows")
    tap.equal(sum(sum(r[0]) for r in rows), said["octets"], "octets")
    tap.equal(sum(sum(r[1]) for r in rows), said["packets"], "packets")
    tap.equal({r[4][0] for r in rows}, {version}, "versions")
    return rows


def test_v5_capture(scratch):
    """v5: tshark counts the same, sequence numbers count flows"""
    expected = 0
    for row in check_capture(scratch, 5, 1):
        tap.equal(row[3], [expected], "sequence")
        expected += len(row[0])


def test_v9_capture(scratch):
    """v9: tshark counts the same, sequence numbers count datagrams"""
    rows = check_capture(scratch, 9, 3)
    for exporter in range(3):
        mine = rows[exporter::3]
        tap.equal([r[3][0] for r in mine], list(range(len(mine))), "sequence")


def test_ipfix_capture(scratch):
    """IPFIX: tshark counts the same, sequence numbers count records"""
    rows = check_capture(scratch, 10, 3)
    for exporter in range(3):
        expected = 0
        for row in rows[exporter::3]:
            tap.equal(row[3], [expected], "sequence")
            expected += len(row[0])


def test_spread(scratch):
    """the spread is what traffic.h says"""
    rows = check_capture(scratch, 5, 1)
    protocols = [p for r in rows for p in r[2]]
    for number, least, most in ((6, 80, 86), (17, 12, 18), (1, 1, 3)):
        share = 100 * protocols.count(number) / len(protocols)
        assert least < share < most, f"protocol {number}: {share} %"


def test_same_seed(scratch):
    """the same seed gives the same capture, another seed another"""
    made = []
    for seed in (7, 7, 8):
        path = scratch / f"{len(made)}.pcap"
        netflow.generate("--flows", 2000, "--seed", seed, "--start", 1700000000,
                         "--pcap", path)
        made.append(path.read_bytes())
    tap.equal(made[0] == made[1], True, "equality for one seed")
    tap.equal(made[0] == made[2], False, "equality for two seeds")


def check_nfcapd(scratch, version):
    """So few datagrams that the receive buffer an ordinary user gets has room
    for all: however busy the machine, none is lost."""
    collector = netflow.Nfcapd(scratch / "nfcapd")
    said = netflow.generate("--version", version, "--flows", 3000, "--rate",
                            20000, "--exporters", 2, "--to",
                            f"127.0.0.1:{collector.port}")
    collector.stop()
    got = collector.totals()
    tap.equal(got, {key: said[key] for key in got}, "totals")


def test_v5_nfcapd(scratch):
    """v5 over UDP: nfdump counts the same"""
    check_nfcapd(scratch, 5)


def test_v9_nfcapd(scratch):
    """v9 over UDP: nfdump counts the same"""
    check_nfcapd(scratch, 9)


def test_ipfix_nfcapd(scratch):
    """IPFIX over UDP: nfdump counts the same"""
    check_nfcapd(scratch, 10)


def test_refused(scratch):
    """nobody listening is said, with exit 1"""
    done = subprocess.run([tap.program("gen"), "--rate", "10000", "--flows",
                           "10000", "--to",
                           f"127.0.0.1:{netflow.free_port()}"],
                          stderr=subprocess.PIPE, text=True)
    tap.equal(done.returncode, 1, "exit")
    assert "nothing listens" in done.stderr, done.stderr


tap.main(globals())
