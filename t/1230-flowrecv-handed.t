#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: sockets that a service manager holds, and a restart under load."""
import os
import signal
import socket
import subprocess
import threading

import netflow
import receiver
import tap


def udp(host="127.0.0.1", only=None):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET,
                      socket.SOCK_DGRAM)
    if only is not None:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    s.bind((host, 0))
    return s


def port_of(s):
    return s.getsockname()[1]


class Service:
    """flowrecv, started as systemd would start it with these sockets."""

    def __init__(self, scratch, sockets, names, *args, env=()):
        self.err = scratch / "err"

        def hand_over():
            high = [os.dup(s.fileno()) for s in sockets]
            for n, fd in enumerate(high):
                os.dup2(fd, 3 + n)

        env = {**os.environ, "LISTEN_FDS": str(len(sockets)), **dict(env)}
        if names is not None:
            env["LISTEN_FDNAMES"] = ":".join(names)
        self.out = scratch / "out"
        with open(self.out, "ab") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                ["sh", "-c", 'LISTEN_PID=${LISTEN_PID-$$} exec "$@"', "sh",
                 tap.program("flowrecv"), "-v", *map(str, args)], env=env,
                stdout=out, stderr=err, close_fds=False, preexec_fn=hand_over)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def said(self):
        return self.err.read_text()

    def wait(self, n):
        netflow.wait_for(lambda: self.said().count(" listening on ") == n or
                         self.process.poll() is not None, "ports")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        tap.equal(self.process.wait(30), 0, "exit status")
        return receiver.unpack(self.out.read_bytes())


def test_names(scratch):
    """names are those of the unit; two of one name are told apart"""
    with udp() as a, udp() as b, udp("::1") as c, \
            Service(scratch, [a, b, c], ["core", "edge", "edge"]) as s:
        s.wait(3)
        tap.equal(receiver.command("bindings")[1].splitlines()[2:],
                  [f"name=core, port={port_of(a)}, address=127.0.0.1",
                   f"name=edge, port={port_of(b)}, address=127.0.0.1",
                   f"name=edge_2, port={port_of(c)}, address=::1"])
        for x, host in (a, "127.0.0.1"), (b, "127.0.0.1"), (c, "::1"):
            receiver.send(port_of(x), [b"x"], host=host)
            netflow.wait_for(lambda: len(receiver.unpack(
                s.out.read_bytes())) == 1 + (a, b, c).index(x), "it")
        tap.equal([d[3] for d in s.stop()], ["core", "edge", "edge_2"])


def test_dual_stack(scratch):
    """a socket of both families is one of both; without a name, its port"""
    with udp("::", 0) as a, Service(scratch, [a], None) as s:
        s.wait(1)
        port = port_of(a)
        tap.equal(receiver.command("bindings")[1].splitlines()[2:],
                  [f"name={port}, port={port}"])
        source = receiver.send(port, [b"x"])
        netflow.wait_for(lambda: s.out.stat().st_size, "it")
        tap.equal([d[5:7] for d in s.stop()], [[b"\x7f\0\0\1", source]])


def test_more(scratch):
    """beside those of the command line; the buffer is raised, never lowered"""
    port, = receiver.free_ports(1)
    with udp() as a, udp() as b:
        b.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        with Service(scratch, [a, b], ["x", "y"], "--receive-buffer=1M",
                     f"z={port}") as s:
            s.wait(3)
            if os.getuid() == 0:
                tap.equal([b.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >>
                           20 for b in (a, b)], [2, 16], "buffers")
            tap.equal(receiver.command("bindings")[1].splitlines()[2:],
                      [f"name=z, port={port}",
                       f"name=x, port={port_of(a)}, address=127.0.0.1",
                       f"name=y, port={port_of(b)}, address=127.0.0.1"])


def test_wrong(scratch):
    """for another process, names that are none, a socket without a port"""
    see = "\nsee flowrecv --help\n"
    with udp() as a:
        with Service(scratch, [a], ["x"], env=[("LISTEN_PID", "1")]) as s:
            tap.equal(s.process.wait(30), 2, "not for it")
            tap.equal(s.said().endswith(see), True, s.said())
        with Service(scratch, [a], ["a b"]) as s:
            tap.equal(s.process.wait(30), 1, "exit status")
            tap.equal(s.said(), "flowrecv: LISTEN_FDS, descriptor 3: 'a b' is "
                      "no binding name: 1 to 63 letters, digits, dots, dashes "
                      "and underscores\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, \
            Service(scratch, [a], ["x"]) as s:
        tap.equal(s.process.wait(30), 1, "exit status")
        tap.equal(s.said(), "flowrecv: LISTEN_FDS, descriptor 3: it is not "
                  "bound to a port\n")


def test_control(scratch):
    """the control socket, too: clients that come meanwhile wait"""
    path = scratch / "control"
    with udp() as a, socket.socket(socket.AF_UNIX) as c:
        c.bind(str(path))
        c.listen()
        early = subprocess.Popen([tap.program("flowrecv"), "bindings",
                                  f"--control={path}"], stdout=subprocess.PIPE)
        for _ in range(2):
            with Service(scratch, [c, a], ["flowrecv.socket", "x"],
                         f"--control={path}") as s:
                s.wait(1)
                if early:
                    tap.equal(b"name=x, " in early.communicate()[0], True)
                    early = None
                tap.equal(receiver.command("bindings", f"--control={path}")[0],
                          0, "exit status")
                s.stop()
            tap.equal(path.exists(), True, "the file stays")


def test_restart(scratch):
    """restarts under load: what the kernel holds meanwhile is not lost"""
    total, restarts = 60000, 6
    with udp() as a:
        a.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
        large = a.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 64 << 20
        sent = threading.Event()

        def load():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.connect(("127.0.0.1", port_of(a)))
                for n in range(total):
                    s.send(n.to_bytes(4, "big") * 25)
                    if n % 50 == 0:
                        sent.wait(0.002)
                    if not large:
                        netflow.wait_read(port_of(a))
            sent.set()

        thread = threading.Thread(target=load)
        thread.start()
        for turn in range(restarts):
            (scratch / str(turn)).mkdir()
            with Service(scratch / str(turn), [a], ["x"]) as s:
                s.wait(1)
                netflow.wait_for(lambda: s.out.stat().st_size > 100000 or
                                 sent.is_set(), "some of the load")
                if turn == restarts - 1:
                    thread.join()
                s.stop()
        drops = netflow.kernel_drops(port_of(a))
    got = [receiver.unpack((scratch / str(turn) / "out").read_bytes())
           for turn in range(restarts)]
    tap.equal(drops, 0, "the kernel's drops")
    tap.equal(min(len(g) for g in got) > 0, True, "each run had some")
    tap.equal([int.from_bytes(d[7][:4], "big") for g in got for d in g] ==
              list(range(total)), True, "all, once, in order")


tap.main(globals())
