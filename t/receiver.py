# SPDX-License-Identifier: BSD-2-Clause
"""Running flowrecv in tests."""
import errno
import os
import random
import re
import signal
import socket
import subprocess

import msgpack

import netflow
import tap

TALLY = ("received", "refused", "dropped", "queued", "sent")
LINE = re.compile(r"flowrecv: (\S+|closed ports): received (?P<received>\d+), "
                  r"refused (?P<refused>\d+), queue-dropped (?P<dropped>\d+), "
                  r"queued (?P<queued>\d+), sent (?P<sent>\d+), "
                  r"kernel-dropped (?P<kernel>\d+)$")
EXPORTER = re.compile(r"flowrecv: (\S+) (\S+): received (\d+), refused (\d+), "
                      r"queue-dropped (\d+), queued (\d+), sent (\d+)$")
KNOWN = re.compile(r"flowrecv: exporters: known (\d+), evicted (\d+)$")


def free_ports(n, host="127.0.0.1"):
    """N different UDP ports that nobody has.

    Below those that the kernel gives to whoever asks for any, or the sockets
    that send in other tests might take them meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = []
    while len(held) < n:
        s = socket.socket(family, socket.SOCK_DGRAM)
        try:
            s.bind((host, random.randrange(10000, 32000)))
            held.append(s)
        except OSError as why:
            s.close()
            if why.errno != errno.EADDRINUSE:
                raise
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def send(port, payloads, host="127.0.0.1"):
    """Sends from one socket and returns its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.connect((host, port))
        for p in payloads:
            s.send(p)
        return s.getsockname()[1]


def unpack(data):
    """The datagrams of a stream, as lists; the stream must be whole."""
    u = msgpack.Unpacker(raw=False, max_buffer_size=0)
    u.feed(data)
    got = list(u)
    tap.equal(u.tell(), len(data), "bytes that are whole objects")
    return got


def run(*args, **kwargs):
    """Runs flowrecv to its end."""
    return subprocess.run([tap.program("flowrecv"), *map(str, args)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, **kwargs)


def command(*args, **kwargs):
    """The same: exit status, stdout, stderr, as text."""
    done = run(*args, **kwargs)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Receiver:
    """A flowrecv with verbose output whose ports are open.

    Its output goes to a file unless given.  Use it in a with statement."""

    def __init__(self, scratch, *args, stdout=None, prefix=(), env=None):
        self.out = scratch / "out"
        self.err = scratch / "err"
        self.run_at = os.environ["FLOW_RUN"]
        wanted = len([a for a in args if re.search(r"\d$", str(a)) and
                      not str(a).startswith("-")])
        with open(self.err, "wb") as err, open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                [*prefix, tap.program("flowrecv"), "-v", *map(str, args)],
                stdout=out if stdout is None else stdout, stderr=err, env=env)
        netflow.wait_for(lambda: self.said().count(" listening on ") >= wanted or
                   self.process.poll() is not None, "ports to open")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self):
        return self.err.read_text()

    def kill(self, number):
        self.process.send_signal(number)

    def freeze(self):
        """Stops it, and waits until it has stopped."""
        self.kill(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self):
        self.kill(signal.SIGCONT)

    def counters(self):
        """Of each binding: received, refused, dropped, queued, sent, kernel.
        """
        found = {}
        for line in self.said().splitlines():
            m = LINE.match(line)
            if m:
                found[m[1]] = {k: int(n) for k, n in m.groupdict().items()}
        for name, c in found.items():
            tap.equal(c["refused"] + c["dropped"] + c["queued"] + c["sent"],
                      c["received"], "the sum of its parts, of " + name)
        return found

    def exporters(self):
        """The same of each (binding, address), without kernel, as last said;
        and how many are known, how many were evicted."""
        lines = self.said().splitlines()
        known = [m for m in map(KNOWN.match, lines) if m][-1]
        found = {}
        for m in filter(None, map(EXPORTER.match, lines)):
            found[m[1], m[2]] = dict(zip(TALLY, map(int, m.groups()[2:])))
        return found, int(known[1]), int(known[2])

    def control(self, *args, **kwargs):
        """What `flowrecv args` says to it: exit status, stdout, stderr."""
        return command(*args, env={**os.environ, "FLOW_RUN": self.run_at},
                       **kwargs)

    def open(self, name, where):
        """A port at run time."""
        tap.equal(self.control("open", name, where), (0, "port opened\n", ""),
                  f"open {name} {where}")

    def ask(self):
        """The counters at this moment."""
        before = len(self.said())
        self.kill(signal.SIGUSR1)
        netflow.wait_for(lambda: "\nflowrecv: exporters: " in
                         self.said()[before:] and self.said().endswith("\n"),
                         "an answer to SIGUSR1")
        return self.counters()

    def wait_received(self, n):
        netflow.wait_for(lambda: sum(c["received"] for c in self.ask().values())
                   >= n, f"{n} datagrams")

    def stop(self, number=signal.SIGINT):
        """Ends it; returns the exit status."""
        self.kill(number)
        return self.process.wait(timeout=30)

    def datagrams(self):
        """Ends it in good order and returns what it wrote to its file."""
        tap.equal(self.stop(), 0, "exit status")
        return unpack(self.out.read_bytes())
