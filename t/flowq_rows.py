# SPDX-License-Identifier: BSD-2-Clause
"""Rows for the tests of flowq: a table through the real flowstore, from
msgpack maps, and the same rows in Python."""
import math
import os
import random
import subprocess

import msgpack

BUILD = os.environ.get('FLOW_BUILD') or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), '..', 'build')
FLOWQ = os.path.join(BUILD, 'flowq', 'flowq')
FLOWSTORE = os.path.join(BUILD, 'flowstore', 'flowstore')


class Percentile:
    """For sqlite3: the least value that so many percent of all are not above."""

    def __init__(self):
        self.values, self.p = [], 0

    def step(self, value, p):
        self.p = p
        if value is not None:
            self.values.append(value)

    def finalize(self):
        v = sorted(self.values)
        at = math.ceil(self.p / 100 * len(v))
        return v[max(at, 1) - 1] if v else None


def store(root, table, rows, host=None):
    """Appends rows to a table; one process, so one or more blocks."""
    data = b''.join(msgpack.packb(r) for r in rows)
    args = [FLOWSTORE, '--root', root]
    if host:
        args += ['--host', host]
    subprocess.run(args + [table], input=data, check=True)


def ask(root, query, *options, env=None):
    """Exit code, stdout, stderr."""
    e = dict(os.environ, TZ='UTC')
    e.update(env or {})
    r = subprocess.run([FLOWQ, '--root', root, *options, query],
                       capture_output=True, env=e, timeout=60)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def random_rows(n, seed):
    """Flows of two shapes with nulls, large numbers and few of some keys."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        r = {
            '_time': 1795428000000000 + rng.randrange(3600) * 1000000,
            'src_addr': '10.%d.%d.%d' % (rng.randrange(3), rng.randrange(4),
                                         rng.randrange(30)),
            'dst_addr': '192.168.%d.%d' % (rng.randrange(2),
                                           rng.randrange(9)),
            'src_port': rng.randrange(1024, 65536),
            'dst_port': rng.choice([22, 53, 80, 123, 443, 443, 443, 8080]),
            'protocol': rng.choice([1, 6, 6, 6, 17]),
            'octet_count': int(rng.paretovariate(0.6) * 40) % (1 << 40),
            'packet_count': rng.randrange(1, 2000),
        }
        if i % 3 == 0:
            r['tcp_flags'] = rng.randrange(256)
            r['interface_name'] = rng.choice(['eth0', 'eth1', 'wan', ''])
        if i % 5 == 0:
            r['src_as'] = rng.choice([0, 1, 64512, 4200000000])
        rows.append(r)
    return rows
