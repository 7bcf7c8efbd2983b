#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Streams of hostile but plausible exporters, made at random: flowdecode says
what a slow decoder in Python says, record by record and count by count.

FLOW_STREAMS is how many, FLOW_SEED where they begin."""
import collections
import json
import math
import os
import random
import subprocess

import tap

try:
    import msgpack
    import records
except ImportError:
    msgpack = None

import exporters

STREAMS = int(os.environ.get("FLOW_STREAMS", 60))
SEED = int(os.environ.get("FLOW_SEED", 1))
TOGETHER = 10  # in one run of flowdecode
IN_SEQUENCE = ("gaps", "missing", "reordered", "restarts")


def wrap(number, datagram):
    time, address, port, payload = datagram
    return msgpack.packb([1, 7, number, "default", time, address.packed, port,
                          payload], use_bin_type=True)


def plain(value):
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    return bool(value) if isinstance(value, bool) else value


def key(row):
    return tuple(sorted((k, plain(v)) for k, v in row.items()
                        if v is not None))


def ours(scratch, datagrams, configured, *options):
    stats = scratch / "stats"
    done = subprocess.run(
        [tap.program("flowdecode"), "--stats", stats, *options] +
        [f"--sampling={a}={n}" for a, n in configured.items()],
        input=b"".join(wrap(n, d) for n, d in enumerate(datagrams, 1)),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    tap.equal(done.returncode, 0, "exit code")
    rows = [r for b in records.batches(done.stdout) for r in b.records()]
    return rows, json.loads(stats.read_text())


def compare_rows(seed, rows, decoder):
    left = collections.Counter(map(key, decoder.rows))
    left.subtract(map(key, rows))
    wanted = [dict(k) for k, n in left.items() if n > 0]
    excess = [dict(k) for k, n in left.items() if n < 0]
    if not wanted and not excess:
        return
    for name in sorted({*wanted[:1][0], *excess[:1][0]}
                       if wanted and excess else ()):
        a, b = wanted[0].get(name), excess[0].get(name)
        if a != b:
            tap.comment(f"{name}: {a!r} is right, but {b!r}")
    raise AssertionError(f"seed {seed}: {len(wanted)} rows missing, first "
                         f"{wanted[:1]}, instead {excess[:1]}")


def compare_ledgers(seed, decoder, stats):
    for x in stats["exporters"]:
        address = exporters.ipaddress.ip_address(x["exporter"])
        want = decoder.sources[address, x["version"], x["source_id"]].ledger
        got = {k: x[k] for k in stats["total"]
               if x[k] and k not in IN_SEQUENCE}
        tap.equal(got, {k: v for k, v in want.items() if v},
                  f"seed {seed}: ledger of {x}")
    tap.equal(len(stats["exporters"]), len(decoder.sources), "exporters")


def some(seed):
    """Datagrams of exporters, rates configured for some, and what another
    decoder says."""
    if not msgpack:
        raise tap.Skip("python3-msgpack is not installed")
    rng = random.Random(seed)
    datagrams = [d for net in range(TOGETHER)
                 for d in exporters.stream(rng, net, 30)]
    addresses = sorted({d[1] for d in datagrams}, key=str)
    configured = {a: 7 for a in addresses[:2]}
    decoder = exporters.Decoder(configured)
    for d in datagrams:
        decoder.datagram(*d)
    return rng, datagrams, configured, decoder


def test_streams(scratch):
    """records and ledgers of random exporters are those of another decoder"""
    total = 0
    for seed in range(SEED, SEED + STREAMS, TOGETHER):
        _, datagrams, configured, decoder = some(seed)
        rows, stats = ours(scratch, datagrams, configured)
        compare_rows(seed, rows, decoder)
        compare_ledgers(seed, decoder, stats)
        total += len(rows)
    assert total > STREAMS * 20, total
    tap.comment(f"{total} records of {STREAMS} streams")


def test_restarts(scratch):
    """started anew in mid-stream, with --state it says the same"""
    for seed in range(SEED, SEED + STREAMS // 3, TOGETHER):
        rng, datagrams, configured, decoder = some(seed)
        rows, at = [], 0
        while at < len(datagrams):
            to = at + rng.randrange(1, len(datagrams))
            more, _ = ours(scratch, datagrams[at:to], configured, "--state",
                           scratch / f"state-{seed}")
            rows, at = rows + more, to
        compare_rows(seed, rows, decoder)


def test_sequence(scratch):
    """what was lost is what is missing, whatever came twice or late"""
    total = 0
    for seed in range(SEED, SEED + STREAMS):
        rng = random.Random(seed)
        sent = exporters.counted(rng, 200)
        came = sent[:3] + exporters.path(rng, sent[3:])
        last = max(n for n, _, _ in came)
        lost = {n: u for n, u, _ in sent[:last]}
        for n, _, _ in came:
            lost.pop(n, None)
        address = exporters.ipaddress.ip_address("10.0.0.1")
        _, stats = ours(scratch, [(n, address, 1, p) for n, _, p in came], {})
        tap.equal((stats["total"]["missing"], stats["total"]["restarts"]),
                  (sum(lost.values()), 0), f"seed {seed}: missing, restarts")
        total += len(lost)
    assert total > STREAMS, total
    tap.comment(f"{total} datagrams were lost")


tap.main(globals())
