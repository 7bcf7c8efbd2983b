#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowdatagram(5): the page and the program agree."""
import re
import struct

import packets
import receiver
import tap


def example():
    """The bytes of the example in the page."""
    page = (tap.SOURCE / "common" / "flowdatagram.5").read_text()
    text = page.split(".Bd -literal -offset indent\n")[1].split(".Ed")[0]
    digits = [re.match(r"((?:[0-9a-f]{2} )+) ", line + " ")[1]
              for line in text.splitlines()]
    return bytes.fromhex("".join(digits))


def test_example(scratch):
    """the example of the page is what the program writes"""
    packet = packets.ipv4(packets.udp(b"\0\5\0\0", 60772), src="192.0.2.1")
    data = packets.pcap([], packets.RAW) + struct.pack(
        "<IIII", 1700000000, 250000, len(packet), len(packet)) + packet
    (scratch / "x").write_bytes(data)
    done = receiver.run("--read", scratch / "x")
    tap.equal(done.returncode, 0, "exit status")
    wanted = example()
    # but for the identity of the stream, which is random
    tap.equal(done.stdout[:3] + wanted[3:11] + done.stdout[11:], wanted)


def test_longest(scratch):
    """no object is longer than the page says"""
    frame = packets.ipv6(packets.udp(b"x" * 65527), length=0)
    (scratch / "x").write_bytes(packets.pcap([frame] * 200, packets.RAW))
    done = receiver.run("--read", scratch / "x", "--name", "n" * 63)
    got = receiver.unpack(done.stdout)
    tap.equal([len(d[7]) for d in got], [65527] * 200)
    tap.equal(len(done.stdout) / 200 < 66 * 1024, True, "length")


tap.main(globals())
