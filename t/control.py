# SPDX-License-Identifier: BSD-2-Clause
"""The protocol of flowrecv's control socket, spoken directly."""
import socket

import msgpack

HEADER = 32  # bytes of each datagram that trace asks for


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(str(path))
    return s


class Client:
    """One request, and its replies."""

    def __init__(self, path, verb, *words, json=False, most=HEADER):
        self.sock = connect(path)
        self.unpacker = msgpack.Unpacker(raw=False)
        self.sock.sendall(msgpack.packb([verb, json, most, *words]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def next(self):
        """The next object; None at the end."""
        while True:
            for o in self.unpacker:
                return o
            data = self.sock.recv(65536)
            if not data:
                return None
            self.unpacker.feed(data)


def ask(path, verb, *words, **more):
    """The reply: [status, text]."""
    with Client(path, verb, *words, **more) as c:
        return c.next()
