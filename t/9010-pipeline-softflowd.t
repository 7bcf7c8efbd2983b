#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""A real exporter: what softflowd sends is in the table as nfcapd and nfdump
have it, datagram for datagram."""
import socket
import threading

import netflow
import pipeline
import softflowd
import tap


class Tee(threading.Thread):
    """Passes every datagram to each of some ports."""

    def __init__(self, *ports):
        super().__init__(daemon=True)
        self.ports = ports
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.count = 0
        self.start()

    def run(self):
        while True:
            data = self.socket.recv(65536)
            for port in self.ports:
                self.socket.sendto(data, ("127.0.0.1", port))
            self.count += 1


def export(scratch, version, tee):
    softflowd.export(scratch, version, tee.port, with_ipv6=version == 9)
    netflow.wait_read(tee.port)


def check(scratch, version):
    peer = netflow.Nfcapd(scratch / "nfcapd")
    port = netflow.free_port()
    with pipeline.collector(scratch, port) as ours:
        tee = Tee(port, peer.port)
        export(scratch, version, tee)
        netflow.wait_read(port)
        peer.stop()
        ours.interrupt()
        ours.expect_clean()
    assert tee.count > 5, f"{tee.count} datagrams"
    theirs = peer.totals()
    assert theirs["flows"] > 300, theirs
    tap.equal(pipeline.totals(scratch / "tables"), theirs, "totals")


def test_v5(scratch):
    """softflowd, v5: count, octets and packets as nfdump has them"""
    check(scratch, 5)


def test_v9(scratch):
    """softflowd, v9 with IPv6: count, octets and packets as nfdump has them"""
    check(scratch, 9)


tap.main(globals())
