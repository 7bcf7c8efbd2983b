# SPDX-License-Identifier: BSD-2-Clause
"""Both ends of flowlog's sockets, made without our code: a Source that serves
batches as flowdecode does, and a Store that takes them as flowstore does."""
import os
import random
import socket
import threading
import time

import msgpack

BOUND = 30  # seconds for anything


def wait(test, what="condition"):
    """Until it holds, and what it gave."""
    end = time.monotonic() + BOUND
    while time.monotonic() < end:
        got = test()
        if got:
            return got
        time.sleep(0.01)
    raise AssertionError("no " + what)


def hello(**more):
    return msgpack.packb(dict({"version": 1, "role": "records"}, **more))


class Server:
    """Takes connections in a thread; one more thread for each."""

    def __init__(self, path):
        self.path = str(path)
        self.lock = threading.Condition()
        self.open()

    def open(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen()
        self.clients = []
        threading.Thread(target=self.accept, args=(self.socket,),
                         daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.clients.append(client)
            threading.Thread(target=self.run, args=(client,),
                             daemon=True).start()

    def run(self, client):
        unpacker = msgpack.Unpacker(max_buffer_size=1 << 27, raw=False)
        try:
            self.talk(client, unpacker)
        except OSError:
            pass
        with self.lock:
            if client in self.clients:
                self.clients.remove(client)
            client.close()

    def next(self, client, unpacker):
        while True:
            for o in unpacker:
                return o
            data = client.recv(1 << 16)
            if not data:
                raise OSError("end")
            unpacker.feed(data)

    def cut(self):
        """All connections go, as if it had died."""
        with self.lock:
            for c in self.clients:
                c.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.cut()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Source(Server):
    """Keeps all objects; number N is objects[N - 1]."""
    role = "records"

    def __init__(self, path, stream=None):
        self.stream = stream or random.getrandbits(63) + 1
        self.objects = []
        self.hellos, self.begins, self.marks = [], [], []
        super().__init__(path)

    def put(self, make):
        """MAKE gives an object its number."""
        with self.lock:
            self.objects.append(make(len(self.objects) + 1, self.stream))
            self.lock.notify_all()

    def renew(self):
        """Another stream, as if the ring had been lost."""
        with self.lock:
            self.stream = random.getrandbits(63) + 1
            self.objects = []
        self.cut()

    def acknowledged(self):
        return max([n for s, n in self.marks if s == self.stream] + [0])

    def talk(self, client, unpacker):
        first = self.next(client, unpacker)
        self.hellos.append(first)
        client.sendall(hello(role=self.role, stream=self.stream,
                             number=len(self.objects)))
        stream, at = self.next(client, unpacker)
        self.begins.append(at)
        if stream != self.stream:
            at = 0
        threading.Thread(target=self.feed, args=(client, at),
                         daemon=True).start()
        while True:
            self.marks.append(tuple(self.next(client, unpacker)))

    def feed(self, client, at):
        objects = self.objects
        try:
            while True:
                with self.lock:
                    while at >= len(objects) and client in self.clients:
                        self.lock.wait(0.2)
                    if client not in self.clients:
                        return
                    o = objects[at]
                client.sendall(o)
                at += 1
        except OSError:
            pass


class Store(Server):
    """Commits what it has, at once or when told; what was not committed is
    forgotten when the connection goes."""

    def __init__(self, path, auto=True):
        self.auto = auto
        self.stalled = False
        self.hellos = []
        self.tables = {}  # name -> committed objects
        self.reached = {}  # (logger, stream) -> number
        self.waiting = {}  # client -> objects
        super().__init__(path)

    def talk(self, client, unpacker):
        first = self.next(client, unpacker)
        self.hellos.append(first)
        stream = first.get("stream", 0)
        key = (first.get("name", ""), stream)
        with self.lock:
            client.sendall(hello(stream=stream,
                                 number=self.reached.get(key, 0)))
        self.waiting[client] = [first, key, []]
        try:
            while True:
                while self.stalled:
                    time.sleep(0.01)
                o = self.next(client, unpacker)
                with self.lock:
                    self.waiting[client][2].append(o)
                if self.auto:
                    self.commit()
        finally:
            del self.waiting[client]

    def commit(self):
        with self.lock:
            for client, (first, key, objects) in list(self.waiting.items()):
                if not objects:
                    continue
                table = self.tables.setdefault(first.get("table"), [])
                for o in objects:
                    if o[2] > self.reached.get(key, 0):
                        table.append(o)
                        self.reached[key] = o[2]
                objects.clear()
                client.sendall(msgpack.packb([key[1], self.reached[key]]))
