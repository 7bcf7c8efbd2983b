# SPDX-License-Identifier: BSD-2-Clause
"""Other people's NetFlow programs, and how to start and stop programs, for
tests: free ports, nfcapd and nfdump, the generator."""
import json
import re
import shutil
import signal
import socket
import subprocess
import time

import tap


def need(*programs):
    for name in programs:
        if not shutil.which(name):
            raise tap.Skip(f"{name} is not installed")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, seconds=20):
    """Calls CONDITION until it gives something true, and gives that."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def udp_socket(port):
    """The line of /proc/net/udp (or udp6) for a bound port, as words."""
    for path in ("/proc/net/udp", "/proc/net/udp6"):
        with open(path) as f:
            for line in f.readlines()[1:]:
                words = line.split()
                if int(words[1].rsplit(":", 1)[1], 16) == port:
                    return words
    return None


def wait_bound(port):
    wait_for(lambda: udp_socket(port), f"port {port} is bound")


def wait_read(port):
    """Until nothing waits in the receive queue of the port."""
    def empty():
        words = udp_socket(port)
        return words and int(words[4].split(":")[1], 16) == 0
    wait_for(empty, f"port {port} is read")


def sleeps(pid):
    """Whether a process waits for something."""
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "S"


def kernel_drops(port):
    return int(udp_socket(port)[-1])


def generate(*options, **kwargs):
    """Runs gen; its summary."""
    done = subprocess.run([tap.program("gen"), "--summary", *map(str, options)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120, **kwargs)
    tap.equal(done.returncode, 0, f"exit of gen ({done.stderr.strip()})")
    return json.loads(done.stderr)


class Nfcapd:
    """nfcapd on a port, writing below a directory."""

    def __init__(self, folder, *options):
        need("nfcapd", "nfdump")
        self.folder = folder
        self.port = free_port()
        folder.mkdir()
        self.process = subprocess.Popen(
            ["nfcapd", "-b", "127.0.0.1", "-p", str(self.port), "-w",
             str(folder), "-t", "3600", "-B", str(4 << 20), *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_bound(self.port)

    def stop(self):
        """Ends it when it has taken in what was sent.  It drops a datagram
        that it has read but not looked at, so it must wait for the next; and
        a signal just before it waits is one that it does not notice, so there
        may have to be another."""
        wait_read(self.port)
        wait_for(lambda: sleeps(self.process.pid), "nfcapd waits")

        def ended():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(0.5)
            except subprocess.TimeoutExpired:
                return False
            return True
        wait_for(ended, "nfcapd ends")

    def totals(self):
        """What nfdump says after stop(): flows, octets, packets."""
        text = subprocess.run(["nfdump", "-R", str(self.folder), "-N", "-o",
                               "raw", "-A", "proto"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        found = re.search(r"total flows: (\d+), total bytes: (\d+), "
                          r"total packets: (\d+)", text)
        return dict(zip(("flows", "octets", "packets"),
                        map(int, found.groups())))
