#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv --read: fragments, damage, and how it ends."""
import os
import random
import signal
import subprocess
import time

import netflow
import packets
import receiver
import tap
from packets import be, ethernet, ipv4, ipv6, udp

GOOD = ethernet(ipv4(udp(b"good")))


def read(scratch, data, *options):
    path = scratch / "capture"
    path.write_bytes(data)
    done = receiver.run("--read", path, *options)
    said = done.stderr.decode().replace(f"flowrecv: {path}: ", "")
    return done.returncode, said, receiver.unpack(done.stdout)


def check_skipped(scratch, frames, fragments, cut, bad):
    """FRAMES are skipped as said, and the good one before and after is not."""
    code, said, got = read(scratch, packets.pcap([GOOD, *frames, GOOD]))
    tap.equal(said, f"skipped {fragments} IP fragments, {cut} packets cut "
              f"short by the capture, {bad} malformed\n")
    tap.equal(code, 0, "exit status")
    tap.equal([d[7] for d in got], [b"good"] * 2)
    tap.equal([d[2] for d in got], [1, 2], "numbers")


def test_fragments(scratch):
    """IP fragments are counted: first, middle, last, IPv4 and IPv6"""
    frames = [ethernet(ipv4(udp(b"x" * 16, length=9999), frag=0x2000)),
              ethernet(ipv4(b"x" * 16, frag=0x2002)),
              ethernet(ipv4(b"x" * 16, frag=0x0004))]
    for offset in 1, 8, 9:
        frames.append(ethernet(ipv6(be("BBHI", 17, 0, offset, 7) +
                                    udp(b"x" * 16), proto=44)))
    check_skipped(scratch, frames, 6, 0, 0)


def test_snapped(scratch):
    """packets that the capture cut, at every length"""
    four = ethernet(ipv4(udp(b"payload")))
    six = ethernet(ipv6(udp(b"payload")), 0x8100)
    frames = [(p[:n], len(p)) for p in (four, six) for n in range(len(p))]
    check_skipped(scratch, frames, 0, len(frames), 0)


def test_malformed(scratch):
    """lengths that contradict each other"""
    frames = [ethernet(ipv4(udp(b"x", length=7))),
              ethernet(ipv4(udp(b"x", length=10))),
              ethernet(ipv4(udp(b"x", length=65535))),
              ethernet(ipv4(udp(b"x")[:6])),
              ethernet(ipv4(udp(b"x"), total=19)),
              ethernet(b"\x44" + ipv4(udp(b"x"))[1:]),
              ethernet(ipv6(udp(b"x", length=99))),
              ethernet(ipv6(b"\x11\xff" + b"\0" * 6 + udp(b"x"), proto=60)),
              b"\0" * 12 + b"\x08\x00" + ipv6(udp(b"x"))]
    check_skipped(scratch, frames, 0, 0, len(frames))


def test_noise(scratch):
    """packets of random bytes: the counts add up"""
    dice = random.Random(1)
    for link in (packets.ETHERNET, packets.SLL, packets.SLL2, packets.RAW,
                 packets.NULL):
        frames = []
        for _ in range(3000):
            p = bytearray(dice.choice([
                ethernet(ipv4(udp(b"x" * 20)), 0x8100), packets.sll(ipv6(
                    udp(b"x" * 20))), ipv4(udp(b"x" * 20), options=b"\1" * 8),
                ipv6(b"\x11\0" + b"\0" * 6 + udp(b"x" * 20), proto=0)]))
            for _ in range(dice.randrange(6)):
                p[dice.randrange(len(p))] = dice.randrange(256)
            frames.append(bytes(p[:dice.randrange(len(p) + 1)]))
        code, said, got = read(scratch, packets.pcap(frames, link), "-v")
        words = [int(w) for w in said.replace(",", "").split()
                 if w.isdigit()][-5:]
        tap.equal(code, 0, "exit status")
        tap.equal(words[0], 3000, "packets")
        tap.equal(words[1], len(got), "passed on")
        tap.equal(sum(words[1:]), 3000, "all kinds")


def test_missing(scratch):
    """a file that is missing, a directory"""
    done = receiver.run("--read", scratch / "none")
    tap.equal((done.returncode, done.stderr.decode()),
              (1, f"flowrecv: {scratch}/none: No such file or directory\n"))
    done = receiver.run("--read", scratch)
    tap.equal((done.returncode, done.stderr.decode()),
              (1, f"flowrecv: {scratch}: not a capture that can be read: "
               "error reading dump file: Is a directory\n"))


def test_no_capture(scratch):
    """a file that is no capture, or an empty one"""
    for data in b"", b"\0", b"hello, world, this is no capture at all":
        code, said, got = read(scratch, data)
        tap.equal((code, got), (1, []), "exit status and output")
        tap.equal(said.startswith("not a capture that can be read: "), True,
                  said)


def test_link(scratch):
    """a link type that is not known is named"""
    code, said, _ = read(scratch, packets.pcap([GOOD], link=105))
    tap.equal((code, said), (1, "link type IEEE802_11 is not supported: "
                             "Ethernet, Linux cooked, raw IP and BSD loopback "
                             "are\n"))


def test_cut(scratch):
    """a capture that ends inside a packet: what came before is passed on"""
    for make in packets.pcap, packets.pcapng:
        whole = make([GOOD] * 3)
        for cut in 1, 10, 40:
            code, said, got = read(scratch, whole[:-cut])
            tap.equal((code, len(got)), (1, 2), "exit status, datagrams")
            tap.equal(said.startswith("after packet 2: truncated "), True,
                      said)


def test_corrupt(scratch):
    """a capture with a damaged length: what came before is passed on"""
    data = bytearray(packets.pcap([GOOD] * 3))
    at = len(data) - len(GOOD) - 8
    data[at:at + 4] = b"\xff\xff\xff\x7f"
    code, said, got = read(scratch, bytes(data))
    tap.equal((code, len(got)), (1, 2), "exit status, datagrams")
    tap.equal(said.startswith("after packet 2: "), True, said)


def test_stdin(_):
    """- is standard input, also for its errors"""
    done = receiver.run("--read", "-", input=packets.pcapng([GOOD] * 5))
    tap.equal((done.returncode, done.stderr), (0, b""))
    tap.equal(len(receiver.unpack(done.stdout)), 5, "datagrams")
    done = receiver.run("--read", "-", input=packets.pcap([GOOD])[:-1])
    tap.equal(done.returncode, 1, "exit status")
    tap.equal(done.stderr.startswith(b"flowrecv: standard input: after packet "
                                     b"0: truncated "), True, done.stderr)


class Live:
    """flowrecv that reads a capture as it is being made."""

    def __init__(self, begun=True):
        self.process = subprocess.Popen(
            [tap.program("flowrecv"), "--read", "-"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not begun:
            return
        self.process.stdin.write(packets.pcap([GOOD] * 3))
        self.process.stdin.flush()
        self.first = os.read(self.process.stdout.fileno(), 1 << 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def test_live(_):
    """a pause of the input flushes the output"""
    with Live() as live:
        tap.equal(len(receiver.unpack(live.first)), 3, "before the pause")
        live.process.stdin.write(packets.pcap([GOOD])[24:])
        out, err = live.process.communicate(timeout=30)
        tap.equal((live.process.returncode, err), (0, b""))
        tap.equal([d[2] for d in receiver.unpack(out)], [4], "after it")


def test_interrupt(_):
    """a signal ends the reading, in good order"""
    for number in signal.SIGINT, signal.SIGTERM:
        with Live() as live:
            live.process.send_signal(number)
            tap.equal(live.process.wait(timeout=30), 0, "exit status")
            tap.equal(live.process.stderr.read(), b"", "stderr")


def test_interrupt_early(_):
    """a signal before the capture has begun"""
    with Live(begun=False) as live:
        status = f"/proc/{live.process.pid}/status"

        def catches():
            with open(status) as f:
                caught = [w for w in f if w.startswith("SigCgt:")][0]
            return int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1
        netflow.wait_for(catches, "it catches SIGINT")
        live.process.send_signal(signal.SIGINT)
        tap.equal(live.process.wait(timeout=30), 0, "exit status")
        tap.equal(live.process.stderr.read(), b"", "stderr")


def test_second(scratch):
    """a second signal quits while it waits for the reader"""
    (scratch / "big").write_bytes(packets.pcap(
        [ethernet(ipv4(udp(b"x" * 60000)))] * 100))
    with subprocess.Popen([tap.program("flowrecv"), "--read",
                           str(scratch / "big")],
                          stdout=subprocess.PIPE) as p:
        time.sleep(0.3)
        p.send_signal(signal.SIGINT)
        time.sleep(0.3)
        tap.equal(p.poll(), None, "it waits for the reader")
        p.send_signal(signal.SIGINT)
        tap.equal(p.wait(timeout=30), -signal.SIGINT, "exit status")


def test_slow_reader(scratch):
    """it waits for a slow reader: nothing is dropped"""
    (scratch / "big").write_bytes(packets.pcap(
        [ethernet(ipv4(udp(n.to_bytes(4, "big") * 5000)))
         for n in range(300)]))
    with subprocess.Popen([tap.program("flowrecv"), "--read",
                           str(scratch / "big")],
                          stdout=subprocess.PIPE) as p:
        time.sleep(0.3)
        got = receiver.unpack(p.stdout.read())
        tap.equal(p.wait(timeout=30), 0, "exit status")
    tap.equal([int.from_bytes(d[7][:4], "big") for d in got],
              list(range(300)))


def test_reader_gone(scratch):
    """a reader that goes"""
    (scratch / "big").write_bytes(packets.pcap(
        [ethernet(ipv4(udp(b"x" * 60000)))] * 100))
    netflow.need("head")
    head = subprocess.Popen(["head", "-c", "10"], stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL)
    p = subprocess.run([tap.program("flowrecv"), "--read",
                        str(scratch / "big")], stdout=head.stdin,
                       stderr=subprocess.PIPE, timeout=60)
    head.stdin.close()
    head.wait()
    tap.equal((p.returncode, p.stderr), (0, b""))


tap.main(globals())
