#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""What a service manager is told, sd_notify(3)."""
import os
import signal
import socket
import subprocess

import netflow
import tap


def told(manager, wanted):
    """The next message, which must be WANTED."""
    tap.equal(manager.recv(200), wanted, "what the manager was told")


def run(scratch, command, end, name=None):
    """Runs a program under a manager with a watchdog of 0.4 s; END ends it."""
    path = name or str(scratch / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path.replace("@", "\0", 1))
    manager.settimeout(20)
    env = dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
    with manager, subprocess.Popen(
            [tap.program(command[0]), *map(str, command[1:])], env=env,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        told(manager, b"READY=1")
        for _ in range(3):
            told(manager, b"WATCHDOG=1")
        end(process)
        while (message := manager.recv(200)) == b"WATCHDOG=1":
            pass
        tap.equal(message, b"STOPPING=1", "the last message")
        process.stdin.close()
        tap.equal(process.wait(20), 0, "exit")


def test_filters(scratch):
    """filters say that they are ready, alive and about to stop"""
    for command in (["flowdecode"], ["flowlog"],
                    ["flowstore", "--root", scratch, "t"]):
        run(scratch, command, lambda p: p.stdin.close())
        os.unlink(scratch / "notify")


def test_receiver(scratch):
    """flowrecv does, also to a socket with an abstract name"""
    run(scratch, ["flowrecv", f"127.0.0.1:{netflow.free_port()}"],
        lambda p: p.send_signal(signal.SIGTERM),
        f"@flow-test-{os.getpid()}")


def test_other(scratch):
    """a watchdog meant for another process is left to it"""
    path = str(scratch / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        env = dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="1000",
                   WATCHDOG_PID="1")
        subprocess.run([tap.program("flowlog")], env=env, input=b"",
                       check=True)
        told(manager, b"READY=1")
        told(manager, b"STOPPING=1")


tap.main(globals())
