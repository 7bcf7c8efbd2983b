# SPDX-License-Identifier: BSD-2-Clause
"""Programs that are killed and started again, for tests of how stages are
joined."""
import socket
import subprocess

import receiver
import tap


class Stage:
    """A program that is started, killed and started again."""

    def __init__(self, scratch, *command, fd=None):
        self.command = [tap.program(command[0]), *map(str, command[1:])]
        self.err = scratch / f"{command[0]}.err"
        self.fd = fd
        self.process = None
        self.start()

    def start(self):
        command, held = self.command, ()
        if self.fd is not None:  # as a service manager hands it over
            command = ["sh", "-c", f"exec 3<&{self.fd}; export LISTEN_PID=$$ "
                       'LISTEN_FDS=1 LISTEN_FDNAMES=p; exec "$@"', "sh",
                       *command]
            held = (self.fd,)
        with open(self.err, "ab") as err:
            self.process = subprocess.Popen(command, stderr=err,
                                            stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL,
                                            pass_fds=held)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def again(self):
        tap.equal(self.process.poll(), None, self.err.read_text())
        self.kill()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def held_port(buffer=64 << 20):
    """A UDP socket that outlives who reads it, and its port; as many bytes as
    BUFFER may wait there."""
    port, = receiver.free_ports(1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.setsockopt(socket.SOL_SOCKET, 33, buffer)  # SO_RCVBUFFORCE
    except OSError:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                     min(buffer, 4 << 20))
    s.bind(("127.0.0.1", port))
    return s, port
