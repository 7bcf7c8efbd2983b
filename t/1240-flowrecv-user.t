#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: root's rights are given up."""
import os
import pwd
import shutil

import readers
import receiver
import tap

USER = "nobody"


def need_root():
    if os.getuid() != 0:
        raise tap.Skip("needs root, to give that up")


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def low_port():
    """A port below 1024 that nobody has."""
    for port in range(700, 1024):
        with receiver.socket.socket(receiver.socket.AF_INET6,
                                    receiver.socket.SOCK_DGRAM) as s:
            try:
                s.bind(("::", port))
                return port
            except OSError:
                pass
    raise tap.Skip("all low ports are taken")


def test_become(scratch):
    """it is that user, for good, and goes on"""
    need_root()
    os.chmod(scratch, 0o755)
    low = low_port()
    who = pwd.getpwnam(USER)
    state = scratch / "state"
    serve = scratch / "serve"
    with receiver.Receiver(scratch, f"--user={USER}", f"--state={state}",
                           f"--serve={serve}", f"a={low}") as r:
        # the last thing before the loop, where signals are answered
        receiver.send(low, [b"x"])
        r.wait_received(1)
        s = status(r.process.pid)
        tap.equal(set(s["Uid"].split()), {str(who.pw_uid)}, "user")
        tap.equal(set(s["Gid"].split()), {str(who.pw_gid)}, "group")
        tap.equal(s["CapEff"].strip("0") + s["CapPrm"].strip("0"), "",
                  "capabilities")
        tap.equal(set(s["Groups"].split()) <= {str(who.pw_gid)}, True, "groups")
        for path in f"{r.run_at}/flowrecv.sock", serve:
            sock = os.stat(path)
            tap.equal((sock.st_uid, sock.st_gid, sock.st_mode & 0o777),
                      (who.pw_uid, who.pw_gid, 0o660), "the socket")
        port, = receiver.free_ports(1)
        r.open("b", port)
        tap.equal((state / "bindings").stat().st_uid, who.pw_uid, "the state")
        low = low_port()
        tap.equal(r.control("open", "c", low),
                  (1, "", f"flowrecv: c: cannot bind [::]:{low}: Permission "
                   "denied; ports below 1024 take root or the capability "
                   "CAP_NET_BIND_SERVICE\n"))
        with readers.reader(serve, "x") as x:
            tap.equal(len(x.take(1)), 1, "datagrams")
            x.mark(1)
        tap.equal(r.stop(), 0, "exit status")


def test_errors(scratch):
    """users that are not there, or that it cannot become"""
    port, = receiver.free_ports(1)
    tap.equal(receiver.command("--user=no-such-user", port),
              (1, "", "flowrecv: --user no-such-user: there is no such user\n"))
    need_root()
    state = scratch / "state"
    state.mkdir(0o700)
    tap.equal(receiver.command(f"--user={USER}", f"--state={state}", port),
              (1, "", f"flowrecv: {state}/bindings: the directory: Permission "
               "denied\n"))
    if not shutil.which("setpriv"):
        raise tap.Skip("setpriv is not installed")
    who = pwd.getpwnam(USER)
    done = receiver.subprocess.run(
        ["setpriv", f"--reuid={who.pw_uid}", "--clear-groups",
         tap.program("flowrecv"), "--user=root", str(port)],
        stdout=receiver.subprocess.PIPE, stderr=receiver.subprocess.PIPE)
    if done.returncode == 127:
        raise tap.Skip(f"{USER} may not run it here")
    tap.equal((done.returncode, done.stderr), (1, b"flowrecv: --user root: "
                                               b"only root can become "
                                               b"another\n"))


tap.main(globals())
