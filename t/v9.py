# SPDX-License-Identifier: BSD-2-Clause
"""NetFlow v9 made here, flowdatagram(5) around it, and what flowdecode says to
it, read with a msgpack of another make."""
import re
import struct
import subprocess

import tap

try:
    import msgpack
except ImportError:
    msgpack = None


def message(*sets, sequence=0, source=1):
    return struct.pack(">HHIIII", 9, len(sets), 100000, 1700000000, sequence,
                       source) + b"".join(sets)


def a_set(number, body):
    return struct.pack(">HH", number, 4 + len(body)) + body


def template(number, *fields):
    return a_set(0, struct.pack(">HH", number, len(fields)) +
                 b"".join(struct.pack(">HH", *f) for f in fields))


def rate_template(number):
    """Options: scope system of 4 bytes, then the sampling interval."""
    return a_set(1, struct.pack(">HHHHHHH", number, 4, 4, 1, 4, 34, 4))


def datagram(payload, address="10.0.0.1", port=2055, time=1700000000000000):
    if not msgpack:
        raise tap.Skip("python3-msgpack is not installed")
    return msgpack.packb([1, 7, 1, "default", time,
                          bytes(map(int, address.split("."))), port, payload],
                         use_bin_type=True)


def decode(data, *args):
    """The batches, and the totals of the ledger."""
    done = subprocess.run([tap.program("flowdecode"), "-v", *args], input=data,
                          capture_output=True, timeout=60)
    tap.equal(done.returncode, 0, f"exit code ({done.stderr})")
    return batches(done.stdout), totals(done.stderr.decode())


def batches(data):
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 28)
    unpacker.feed(data)
    return list(unpacker)


def totals(text):
    last = re.search(r"total: (.*)", text).group(1)
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", last)}


def column(batches, name):
    """The values of a column of unsigned integers or times in all."""
    values = []
    for batch in batches:
        at = batch[4].index(name)
        form = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q",
                "time": "q"}[batch[5][at]]
        value = batch[6][at]
        if not isinstance(value, bytes):
            values += [value] * batch[3]
        else:
            values += struct.unpack(f"<{batch[3]}{form}", value)
    return values
