# SPDX-License-Identifier: BSD-2-Clause
"""Reading what --metrics serves."""
import re
import socket

from prometheus_client import parser

import netflow
import tap

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
LINE = re.compile(rf"# HELP {NAME} [^\n]+|# TYPE {NAME} (?:counter|gauge)|"
                  rf"{NAME}(?:\{{{LABEL}(?:,{LABEL})*\}})? -?\d+(?:\.\d+)?")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def http(port, request, host="127.0.0.1"):
    """The status line, the headers and the body of an answer."""
    with socket.create_connection((host, port), 30) as s:
        s.sendall(request)
        answer = b""
        while more := s.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    return status, dict(h.lower().split(": ", 1) for h in headers), body


def get(port, path="/metrics", host="127.0.0.1"):
    def ask():
        try:
            return http(port, b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: "
                        b"close\r\n\r\n" % path.encode(), host)
        except ConnectionRefusedError:
            return None
    return netflow.wait_for(ask, f"an answer at port {port}")


def check(text):
    """What the format's description demands, and a parser might forgive."""
    tap.equal(text[-1], "\n", "the last byte")
    family = None
    seen = set()
    samples = set()
    for line in text.splitlines():
        tap.equal(LINE.fullmatch(line) is not None, True, line)
        if line.startswith("# HELP "):
            family = line.split()[2]
            tap.equal(family in seen, False, f"{family} twice")
            seen.add(family)
            continue
        name = line.split()[2] if line[0] == "#" else \
            re.match(NAME, line)[0]
        tap.equal(name, family, "the family of " + line)
        if line[0] == "#":
            tap.equal(line.endswith(" counter"), family.endswith("_total"),
                      "counters end in _total: " + line)
            continue
        sample = line.rsplit(" ", 1)[0]
        tap.equal(sample in samples, False, f"{sample} twice")
        samples.add(sample)


def scrape(port, host="127.0.0.1"):
    """{(name, label, ...): value}; a label is (name, value)."""
    status, headers, body = get(port, host=host)
    tap.equal(status, "HTTP/1.1 200 OK")
    tap.equal(headers["content-type"],
              "text/plain; version=0.0.4; charset=utf-8")
    check(body.decode())
    return {(s.name, *sorted(s.labels.items())):
            int(s.value) if s.value == int(s.value) else s.value
            for family in parser.text_string_to_metric_families(body.decode())
            for s in family.samples}
