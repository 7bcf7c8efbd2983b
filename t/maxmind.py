# SPDX-License-Identifier: BSD-2-Clause
"""Small MaxMind databases, for tests: the format's version 2.0, with a tree of
24-bit records over IPv6 (IPv4 in ::/96, as MaxMind has it)."""
import ipaddress
import struct


class Short(int):
    """A number of 16 bits, where the format wants one."""


class Long(int):
    """One of 64."""


def control(kind, size):
    """The bytes before a value: its type and size."""
    extended = b""
    if kind > 7:
        extended, kind = bytes([kind - 7]), 0
    if size < 29:
        return bytes([kind << 5 | size]) + extended
    assert size < 29 + 256
    return bytes([kind << 5 | 29]) + extended + bytes([size - 29])


def value(v):
    if isinstance(v, dict):
        return control(7, len(v)) + b"".join(
            value(k) + value(x) for k, x in v.items())
    if isinstance(v, list):
        return control(11, len(v)) + b"".join(value(x) for x in v)
    if isinstance(v, str):
        return control(2, len(v.encode())) + v.encode()
    if isinstance(v, float):
        return control(3, 8) + struct.pack(">d", v)
    data = v.to_bytes((v.bit_length() + 7) // 8, "big")
    kind = 5 if isinstance(v, Short) else 9 if isinstance(v, Long) else 6
    return control(kind, len(data)) + data


def database(networks):
    """The bytes of a database: {"10.0.0.0/8": {...}}, no network in another."""
    nodes, data, offsets = [[None, None]], b"", {}
    for text, record in networks.items():
        net = ipaddress.ip_network(text)
        bits, length = int(net.network_address), net.prefixlen
        if net.version == 4:
            length += 96
        offsets[text] = len(data)
        data += value(record)
        at = 0
        for i in range(length - 1):
            bit = bits >> (127 - i) & 1
            if nodes[at][bit] is None:
                nodes.append([None, None])
                nodes[at][bit] = len(nodes) - 1
            at = nodes[at][bit]
        nodes[at][bits >> (128 - length) & 1] = text
    tree = b""
    for node in nodes:
        for to in node:
            n = len(nodes) if to is None else to
            if isinstance(to, str):
                n = len(nodes) + 16 + offsets[to]
            tree += n.to_bytes(3, "big")
    meta = value({
        "binary_format_major_version": Short(2),
        "binary_format_minor_version": Short(0),
        "build_epoch": Long(1795428000), "database_type": "Test",
        "description": {"en": "test"}, "ip_version": Short(6),
        "languages": ["en"], "node_count": len(nodes),
        "record_size": Short(24)})
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + meta
