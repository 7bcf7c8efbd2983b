#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: clients of the control socket that mean harm, or are broken."""
import os
import random
import socket
import time

import msgpack

import control
import netflow
import receiver
import tap

NO_REQUEST = [1, "this is no request"]
UNKNOWN = [1, "it does not know this command: it is of another version"]


def answer(path, data):
    """All objects that come back for DATA."""
    with control.connect(path) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            got = b""
            while more := s.recv(65536):
                got += more
        except (ConnectionResetError, BrokenPipeError):
            pass
    u = msgpack.Unpacker(raw=False)
    u.feed(got)
    return list(u)


class Daemon(receiver.Receiver):
    def __init__(self, scratch, *args, **kwargs):
        self.port, = receiver.free_ports(1)
        super().__init__(scratch, f"x={self.port}", *args, **kwargs)
        self.path = scratch / "run" / "flowrecv.sock"
        self.n = 0

    def check_alive(self):
        """It receives, and answers."""
        self.n += 1
        receiver.send(self.port, [b"x"])
        netflow.wait_for(lambda: control.ask(self.path, "stats", "x")[1]
                         .startswith(f"x: received {self.n},"), "a datagram")
        tap.equal(self.process.poll(), None, "it runs")


def test_wrong(scratch):
    """what is no request gets an answer that says so"""
    with Daemon(scratch) as r:
        pack = msgpack.packb
        for data in (pack(None), pack("open"), pack([]), pack({}), pack(7),
                     pack(["open"]), pack(["bindings", 1, 1]),
                     pack(["bindings", False, -1]),
                     pack(["bindings", False, 65536]),
                     pack(["bindings", False, 1.5]),
                     pack([b"bindings", False, 1]),
                     pack(["open", False, 1, "a", 9]),
                     pack(["open", False, 1, "a\0b", "9"]),
                     pack(["open", False, 1, "a", "9", "b"]),
                     pack(["x" * 16, False, 1]), b"\xc1", b"\xdd\xff\xff\xff\xff",
                     b"\xdb\xff\xff\xff\xff", b"\x91" * 100, b"\x94" * 1024,
                     b"GET / HTTP/1.1\r\n\r\n"):
            tap.equal(answer(r.path, data), [NO_REQUEST], repr(data[:40]))
        for words in (["nonsense"], ["open"], ["open", "a"], ["close"],
                      ["bindings", "a"], ["stats", "a", "b"]):
            tap.equal(answer(r.path, pack([words[0], False, 1, *words[1:]])),
                      [UNKNOWN], repr(words))
        # half a request, and a client that goes
        answer(r.path, pack(["bindings", False, 1])[:5])
        answer(r.path, b"")
        # a second request is not looked at
        two = pack(["bindings", False, 1]) * 2
        tap.equal(len(answer(r.path, two)), 1, "answers")
        r.check_alive()


def test_names(scratch):
    """names and addresses with bytes that do not belong there"""
    with Daemon(scratch) as r:
        for name in "", "a b", "a=b", "a\nb", "\x1b[2J", "é", "n" * 64, "n" * 900:
            status, text = control.ask(r.path, "open", name, "9")
            start = f"'{name[:3]}".translate({0x1b: "?", 10: "?"})
            tap.equal((status, text.startswith(start)), (1, True), text)
            tap.equal(text.isprintable(), True, repr(text))
            for verb in "close", "trace", "stats":
                status, text = control.ask(r.path, verb, name)
                tap.equal((status, text.startswith("no port is named ")),
                          (1, True), text)
        for where in "", "x", "0", "9\n", "[::1]", "%", "[%s%n]:9", "1.2.3.4:", \
                "[239.1.1.1%\x1b]:9", "9" * 500, "[" * 200 + ":9":
            status, text = control.ask(r.path, "open", "a", where)
            tap.equal((status, text != ""), (1, True), text)
            code, out, err = r.control("open", "a", where)
            tap.equal((code, out, err.count("\n") <= 2), (2, "", True), err)
            tap.equal(all(c.isprintable() for c in err.replace("\n", "")), True,
                      repr(err))
        r.check_alive()


def test_fuzz(scratch):
    """requests with bytes changed, cut, repeated"""
    rnd = random.Random(1)
    port, = receiver.free_ports(1)
    good = [msgpack.packb([verb, json, most, *words]) for verb, *words in
            (["open", "a", str(port)], ["close", "a"], ["bindings"], ["stats"],
             ["stats", "x"], ["trace", "x"], ["trace", "a"])
            for json in (False, True) for most in (0, 32, 65535)]
    with Daemon(scratch) as r:
        for _ in range(1500):
            data = bytearray(rnd.choice(good))
            for _ in range(rnd.randrange(4)):
                at = rnd.randrange(len(data))
                what = rnd.randrange(4)
                if what == 0:
                    data[at] = rnd.randrange(256)
                elif what == 1:
                    data[at:at] = bytes([rnd.choice(
                        (0, 0x7f, 0x80, 0x90, 0xc0, 0xc1, 0xd9, 0xff))])
                elif what == 2:
                    data = data[:at + 1]
                else:
                    data += data[at:]
            for o in answer(r.path, bytes(data)) if rnd.randrange(4) else ():
                tap.equal(isinstance(o[0], int), True, repr(o))
        r.check_alive()
        tap.equal(r.stop(), 0, "exit status")


def test_silent(scratch):
    """clients that say nothing, or never read: they go, others do not wait"""
    with Daemon(scratch) as r:
        silent = [control.connect(r.path) for _ in range(5)]
        half = control.connect(r.path)
        half.sendall(b"\x93")
        deaf = []
        for verb in "stats", "bindings", "trace":
            s = control.connect(r.path)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            s.sendall(msgpack.packb([verb, False, 65535] + ["x"][
                :verb == "trace"]))
            deaf.append(s)
        for n in range(20):
            receiver.send(r.port, [b"x" * 60000] * 100)
        r.n = 2000
        r.check_alive()
        size, = (int(line.split()[1]) for line in
                 open(f"/proc/{r.process.pid}/status") if line[:6] == "VmRSS:")
        tap.comment(f"{size} kB resident")
        begin = time.monotonic()
        for s in *silent, half:
            tap.equal(s.recv(10), b"", "it is let go")
        tap.equal(time.monotonic() - begin < 25, True, "within some seconds")
        for s in *silent, half, *deaf:
            s.close()
        r.check_alive()


def connect(path):
    """None if so many wait that there is no place."""
    try:
        return control.connect(path)
    except BlockingIOError:
        return None


def test_many(scratch):
    """a thousand clients at once: bounded, told so, and the port goes on"""
    with Daemon(scratch) as r:
        before = len(os.listdir(f"/proc/{r.process.pid}/fd"))
        held, told = [], 0
        for _ in range(1000):
            held.append(netflow.wait_for(lambda: connect(r.path), "a place"))
        time.sleep(0.1)
        tap.equal(len(os.listdir(f"/proc/{r.process.pid}/fd")) <= before + 64,
                  True, "descriptors are bounded")
        for s in held:
            s.setblocking(False)
            try:
                got = s.recv(1000)
            except BlockingIOError:
                continue
            tap.equal(msgpack.unpackb(got), [1, "too many talk to it already; "
                                             "try again"])
            told += 1
        tap.equal(told, 1000 - 64, "those that are told")
        code, out, err = r.control("bindings")
        tap.equal((code, out, err), (1, "", "flowrecv: too many talk to it "
                                     "already; try again\n"))
        receiver.send(r.port, [b"x"])
        r.wait_received(1)
        r.n = 1
        for s in held:
            s.close()
        netflow.wait_for(lambda: r.control("bindings")[0] == 0, "room again")
        r.check_alive()


def test_viewers(scratch):
    """more who look on than there is room for"""
    with Daemon(scratch) as r:
        views = [control.Client(r.path, "trace", "x") for _ in range(16)]
        for v in views:
            tap.equal(v.next()[0], 0)
        tap.equal(control.ask(r.path, "trace", "x"),
                  [1, "too many look on already; end one"])
        views.pop().sock.close()
        netflow.wait_for(lambda: control.ask(r.path, "trace", "x")[0] == 0,
                         "room again")
        for v in views:
            v.sock.close()
        r.check_alive()


tap.main(globals())
