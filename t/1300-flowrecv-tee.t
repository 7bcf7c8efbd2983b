#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: copies to other collectors."""
import json
import re
import socket
import subprocess

import netflow
import receiver
import tap

COPIES = re.compile(r"flowrecv: copies to (\S+): sent (\d+), failed (\d+)$",
                    re.M)


def collector(host="127.0.0.1"):
    """Another one, and its name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((host, 0))
    s.settimeout(20)
    port = s.getsockname()[1]
    return s, f"udp:[{host}]:{port}" if ":" in host else f"udp:{host}:{port}"


def copies(r):
    """{target: (sent, failed)} as last said."""
    return {m[1]: (int(m[2]), int(m[3])) for m in COPIES.finditer(r.said())}


def test_copies(scratch):
    """what arrives goes on as it is, to each, and to the output"""
    port, = receiver.free_ports(1)
    a, to_a = collector()
    b, to_b = collector("::1")
    payloads = [n.to_bytes(2, "big") * (n * 37 % 700) for n in range(200)]
    payloads += [b"x" * 65507, b""]
    with a, b, receiver.Receiver(scratch, f"--tee={to_a}", f"--tee={to_b}",
                                 port) as r:
        receiver.send(port, payloads)
        for s in a, b:
            tap.equal([s.recv(65536) for _ in payloads] == payloads, True,
                      "the same")
        r.ask()
        n = len(payloads)
        tap.equal(copies(r), {to_a: (n, 0), to_b: (n, 0)})
        tap.equal(r.control("stats")[1].splitlines()[1:3],
                  [f"copies to {t}: sent {n}, failed 0" for t in (to_a, to_b)])
        out = r.control("stats", "--json")[1].splitlines()
        tap.equal([json.loads(line) for line in out[1:3]],
                  [{"tee": t, "sent": n, "failed": 0} for t in (to_a, to_b)])
        tap.equal([d[7] for d in r.datagrams()] == payloads, True, "the output")


def test_allow(scratch):
    """what --allow refuses is not copied"""
    port, = receiver.free_ports(1)
    a, to = collector()
    with a, receiver.Receiver(scratch, f"--tee={to}", "--allow=127.0.0.9",
                              port) as r:
        receiver.send(port, [b"no"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.9", 0))
            s.sendto(b"yes", ("127.0.0.1", port))
        tap.equal(a.recv(100), b"yes")
        r.wait_received(2)
        tap.equal(copies(r), {to: (1, 0)})


def test_dropped(scratch):
    """what the queue drops is copied all the same"""
    port, = receiver.free_ports(1)
    a, to = collector()
    read_end, write_end = receiver.os.pipe()
    with a, receiver.Receiver(scratch, f"--tee={to}", "--queue=128K", port,
                              stdout=write_end) as r:
        for turn in range(20):
            receiver.send(port, [b"x" * 1000] * 100)
            for _ in range(100):
                a.recv(2000)
        r.wait_received(2000)
        tap.equal(r.counters()["default"]["dropped"] > 0, True, "dropped")
        tap.equal(copies(r), {to: (2000, 0)})
    receiver.os.close(read_end)
    receiver.os.close(write_end)


def test_nobody(scratch):
    """nobody listens there: said, and reception goes on"""
    port, closed = receiver.free_ports(2)
    to = f"udp:127.0.0.1:{closed}"
    with receiver.Receiver(scratch, f"--tee={to}", port) as r:
        for n in range(1, 51):
            receiver.send(port, [b"x"] * 20)
            r.wait_received(20 * n)
        tap.equal(sum(copies(r)[to]), 1000, "sent or failed")
        tap.equal(f"flowrecv: {to}: nothing listens there\n" in r.said(), True,
                  r.said())
        tap.equal(len(r.datagrams()), 1000, "datagrams")


def test_no_room(scratch):
    """what cannot be sent at once is counted, and said at the end"""
    netflow.need("strace")
    probe = subprocess.run(
        ["strace", "-qq", "-e", "trace=none", "-e", "inject=getpid:retval=1",
         "true"], stderr=subprocess.PIPE)
    if probe.returncode != 0:
        raise tap.Skip("strace may not trace here")
    for error, every, failed in ("EAGAIN", "1+", 30), ("EPERM", "2+2", None):
        port, = receiver.free_ports(1)
        a, to = collector()
        prefix = ["strace", "-D", "-qq", "-o", str(scratch / "trace"), "-e",
                  f"inject=sendmmsg:error={error}:when={every}"]
        with a, receiver.Receiver(scratch, f"--tee={to}", port,
                                  prefix=prefix) as r:
            for n in range(1, 31):
                receiver.send(port, [b"x"])
                netflow.wait_for(lambda: len(receiver.unpack(
                    r.out.read_bytes())) == n, f"datagram {n}")
            r.kill(receiver.signal.SIGTERM)
            netflow.wait_for(lambda: to in copies(r), "the report")
            sent, bad = copies(r)[to]
            tap.equal(sent + bad, 30, "sent and failed")
            tap.equal(bad == failed if failed else 10 < bad < 20, True,
                      f"{bad} failed")
            tap.equal(sum(1 for _ in drain(a)), sent, "arrived")


def drain(s):
    s.setblocking(False)
    while True:
        try:
            yield s.recv(65536)
        except BlockingIOError:
            return


def test_errors(scratch):
    """what is no target"""
    port, = receiver.free_ports(1)
    end = ": must be udp:HOST:PORT, an IPv6 address in brackets\n"
    for to in ("x", "tcp:127.0.0.1:9", "udp:127.0.0.1", "udp::9", "udp:[]:9",
               "udp:::1:9", "udp:a:", 'udp:"a":9'):
        tap.equal(receiver.command(f"--tee={to}", port),
                  (1, "", f"flowrecv: --tee: {to}{end}"))
    code, _, err = receiver.command("--tee=udp:no-such-host.invalid:9", port)
    tap.equal((code, err.startswith(
        "flowrecv: --tee: udp:no-such-host.invalid:9: ")), (1, True), err)
    tap.equal(receiver.command(*["--tee=udp:127.0.0.1:9"] * 9, port),
              (2, "", "flowrecv: --tee: 8 are the most\nsee flowrecv "
               "--help\n"))


tap.main(globals())
