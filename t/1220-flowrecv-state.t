#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: ports that were opened at run time are open again after a restart.
"""
import socket

import netflow
import receiver
import tap

FIRST = "# ports that were opened while flowrecv ran\n"


def names(r):
    """What `bindings` lists."""
    code, out, err = r.control("bindings")
    tap.equal((code, err), (0, ""))
    return [line.split("=", 1)[1].split(",")[0]
            for line in out.splitlines()[2:]]


def test_restart(scratch):
    """they survive a restart and a kill; those of the command line are its own
    """
    a, b, c, d = receiver.free_ports(4)
    state = scratch / "state"
    file = state / "bindings"
    with receiver.Receiver(scratch, f"--state={state}", f"a={a}") as r:
        tap.equal(file.exists(), False, "nothing was opened")
        r.open("b", b)
        r.open("c", f"127.0.0.1:{c}")
        r.open("d", f"[::1]:{d}")
        tap.equal(file.read_text(),
                  f"{FIRST}b={b}\nc=127.0.0.1:{c}\nd=[::1]:{d}\n")
        tap.equal(r.control("close", "d"), (0, "port closed\n", ""))
        tap.equal(r.control("close", "a"), (0, "port closed\n", ""))
        r.process.kill()
        r.process.wait()
    tap.equal(file.read_text(), f"{FIRST}b={b}\nc=127.0.0.1:{c}\n")
    with receiver.Receiver(scratch, f"--state={state}", f"a={a}") as r:
        netflow.wait_for(lambda: r.said().count("listening") == 3, "all ports")
        tap.equal(names(r), ["a", "b", "c"])
        receiver.send(c, [b"x"])
        r.wait_received(1)
        tap.equal([d[3] for d in r.datagrams()], ["c"])
    with receiver.Receiver(scratch, f"--state={state}") as r:
        netflow.wait_for(lambda: r.said().count("listening") == 2, "two ports")
        tap.equal(names(r), ["b", "c"])
        tap.equal(r.control("close", "b")[0], 0)
        tap.equal(r.control("close", "c")[0], 0)
        tap.equal(file.read_text(), FIRST)


def test_taken(scratch):
    """a port that is in use, or its name: said, kept, and it can be closed"""
    a, b = receiver.free_ports(2)
    file = scratch / "bindings"
    file.write_text(f"a={a}\nb={b}\n")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind(("::", b))
        with receiver.Receiver(scratch, f"--state={scratch}",
                               f"a=127.0.0.1:{a}") as r:
            tap.equal(names(r), ["a"])
            tap.equal(f"flowrecv: b: [::]:{b} is in use; to see by whom: ss "
                      f"-ulnp sport = :{b}; it stays in {file} for the next "
                      "start\n" in r.said(), True, r.said())
            tap.equal(f"flowrecv: {file}: the name a is taken by another port "
                      "now\n" in r.said(), True, r.said())
            tap.equal(file.read_text(), f"a={a}\nb={b}\n")
            tap.equal(r.control("close", "b"), (0, "port closed\n", ""))
            tap.equal(file.read_text(), f"{FIRST}a={a}\n")
            tap.equal(r.control("close", "b")[0], 1, "only once")


def test_damaged(scratch):
    """lines that are wrong are told of, the others hold"""
    a, = receiver.free_ports(1)
    file = scratch / "bindings"
    file.write_bytes(b"# text\n\nnonsense\nx=0\n\xff\x1b=9\n" +
                     b"y" * 500 + b"\na=%d\na=%d\n" % (a, a))
    with receiver.Receiver(scratch, f"--state={scratch}") as r:
        netflow.wait_for(lambda: "listening" in r.said(), "the port")
        tap.equal(names(r), ["a"])
        said = r.said()
        for line, why in ((3, "nonsense: 'nonsense' is no port: 1 to 65535"),
                          (4, "x=0: '0' is no port: 1 to 65535"),
                          (5, "'??' is no binding name: "),
                          (6, "'yyyy"), (8, "a is there twice")):
            tap.equal(f"flowrecv: {file}, line {line}: {why}" in said, True,
                      f"{line} in {said}")


def test_full(scratch):
    """a full disk: a port is not opened, and one that is closed is closed"""
    a, b, c = receiver.free_ports(3)
    with receiver.Receiver(scratch, f"--state={scratch}", f"a={a}") as r:
        r.open("b", b)
        before = (scratch / "bindings").read_text()
        new = scratch / "bindings.new"
        why = f"flowrecv: {scratch}/bindings: cannot write: No space left on " \
            "device; "
        new.symlink_to("/dev/full")
        tap.equal(r.control("open", "c", c),
                  (1, "", why + "the port is not opened\n"))
        tap.equal(names(r), ["a", "b"])
        new.symlink_to("/dev/full")
        tap.equal(r.control("close", "b"),
                  (1, "", why + "the port is closed, but will be open again at "
                   "the next start\n"))
        tap.equal(names(r), ["a"])
        tap.equal((scratch / "bindings").read_text(), before, "the file")
        r.open("c", c)
        tap.equal((scratch / "bindings").read_text(), before + f"c={c}\n")


def test_directory(scratch):
    """a directory that is in use, or cannot be one"""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, f"--state={scratch}", f"a={a}"):
        tap.equal(receiver.command(b, f"--state={scratch}"),
                  (1, "", f"flowrecv: --state {scratch}: another flowrecv has "
                   "it\n"))
    tap.equal(receiver.command(b, "--state=/dev/null"),
              (1, "", "flowrecv: --state /dev/null: Not a directory\n"))
    tap.equal(receiver.command(b, "--state=/none/at/all"),
              (1, "", "flowrecv: --state /none/at/all: cannot make it: No such "
               "file or directory\n"))


tap.main(globals())
