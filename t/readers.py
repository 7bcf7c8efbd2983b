# SPDX-License-Identifier: BSD-2-Clause
"""Ends of the Unix sockets that join stages, for tests."""
import socket
import time

import msgpack

import netflow
import tap


class End:
    """Connects and says hello; `hello` is the answer."""

    def __init__(self, path, role, **words):
        self.socket = socket.socket(socket.AF_UNIX)
        self.unpacker = msgpack.Unpacker(raw=False, max_buffer_size=0)
        netflow.wait_for(lambda: self.try_connect(path), f"{path} to open")
        self.say({"version": 1, "role": role, **words})
        self.hello = self.next()

    def try_connect(self, path):
        try:
            self.socket.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def say(self, thing):
        self.socket.sendall(msgpack.packb(thing))

    def mark(self, number):
        self.say([self.hello["stream"], number])

    def next(self, seconds=20):
        """The next object; None at the end."""
        end = time.monotonic() + seconds
        while True:
            for thing in self.unpacker:
                return thing
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            part = self.socket.recv(1 << 20)
            if not part:
                return None
            self.unpacker.feed(part)

    def take(self, n, seconds=20):
        return [self.next(seconds) for _ in range(n)]

    def silent(self, seconds=0.2):
        """Nothing comes."""
        try:
            got = self.next(seconds)
        except (TimeoutError, socket.timeout):
            return
        raise AssertionError(f"got {str(got)[:200]}")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def reader(path, name=None, begin=0, role="datagrams"):
    """One that reads what comes after number BEGIN."""
    words = {"name": name} if name else {}
    end = End(path, role, **words)
    tap.equal(end.hello.get("error"), None, "error in the hello")
    end.mark(begin)
    return end
