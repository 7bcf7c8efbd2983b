#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: what is typed, and what it says to mistakes."""
import socket

import receiver
import tap

SEE = "see flowrecv --help\n"


def check(args, code, text):
    done = receiver.run(*args)
    tap.equal(done.stderr.decode(), text, "stderr")
    tap.equal(done.returncode, code, "exit status")
    tap.equal(done.stdout, b"", "stdout")


def check_usage(args, text):
    check(args, 2, f"flowrecv: {text}\n{SEE}")


def test_help(_):
    """--help and -h print the usage to stdout"""
    for option in "--help", "-h":
        done = receiver.run(option)
        tap.equal(done.returncode, 0, "exit status")
        tap.equal(done.stdout.startswith(b"usage: flowrecv "), True, "usage")
        tap.equal(done.stderr, b"", "stderr")


def test_version(_):
    """--version and -V name the program and the collection"""
    for option in "--version", "-V":
        done = receiver.run(option)
        tap.equal(done.returncode, 0, "exit status")
        tap.equal(done.stdout.split()[:2], [b"flowrecv", b"(flow)"])


def test_nothing(_):
    """without a port it says what it needs"""
    check_usage([], "say a port to listen on, --control PATH to be told of some, "
                "or --read FILE")


def test_misspelt(_):
    """a misspelt command is not taken for a port"""
    check_usage(["opne", "lab", "9995"],
                "'opne' is no command (did you mean open?) and no port")
    check_usage(["binding"],
                "'binding' is no command (did you mean bindings?) and no port")


def test_ports(_):
    """what is no port"""
    for port in "0", "65536", "http", "-1x", "9090x", " 1":
        args = ["--", port]
        check_usage(args, f"{port}: '{port}' is no port: 1 to 65535")
    check_usage(["127.0.0.1:"], "127.0.0.1:: '' is no port: 1 to 65535")


def test_addresses(_):
    """what is no address"""
    check_usage(["localhost:9"], "localhost:9: 'localhost' is no IP address: "
                "write 127.0.0.1:9 or [::1]:9")
    check_usage(["[nonsense]:9"], "[nonsense]:9: 'nonsense' is no IP address: "
                "write 127.0.0.1:9 or [::1]:9")
    check_usage(["::1:9"],
                "::1:9: put an IPv6 address in brackets: [::1]:9")
    check_usage(["[::1:9"],
                "[::1:9: put an IPv6 address in brackets: [::1]:9")
    check_usage(["x" * 200], "'" + "x" * 200 +
                "' is too long: [NAME=][ADDRESS:]PORT")


def test_names(_):
    """what is no name"""
    for name in "", "a b", "a/b", 'a"b', "n" * 64, "ä", "a\nb":
        shown = name.replace("\n", "?")
        check_usage([name + "=9"], f"'{shown}' is no binding name: 1 to 63 "
                    "letters, digits, dots, dashes and underscores")


def test_duplicates(_):
    """two bindings of one name"""
    check_usage(["a=9001", "a=9002"],
                "two bindings are named a: name them apart with NAME=")
    check_usage(["9001", "127.0.0.1:9001"],
                "two bindings are named 9001: name them apart with NAME=")


def test_sizes(_):
    """what is no size"""
    for size in "", "M", "12X", "-1", "1.5G", "99999999999999999999":
        check_usage([f"--queue={size}", "9"], f"--queue: '{size}' is no "
                    "size: 4096, 512K, 64M, 1G")
    check_usage(["--queue", "17179869184G", "9"], "--queue: '17179869184G' "
                "is no size: 4096, 512K, 64M, 1G")
    check_usage(["--queue", "127K", "9"], "--queue: '127K' is not between "
                "131072 and 68719476736")
    check_usage(["--receive-buffer", "2G", "9"], "--receive-buffer: '2G' is "
                "not between 4096 and 1073741824")


def test_networks(_):
    """what is no network"""
    for text in "x", "10.0.0.0/33", "10/8", "::/129", "10.0.0.0/", "1.2.3":
        check_usage(["--allow", text, "9"], f"--allow: '{text}' is no network: "
                    "192.0.2.0/24, 2001:db8::/32 or an address")
    check_usage(["--allow", ",", "9"],
                "--allow: a list of networks, as 192.0.2.0/24")


def test_mixed(_):
    """options of one way of working with the other"""
    check_usage(["--read", "x", "9090"],
                "--read takes no ports; --port picks of those in it")
    for option in ("queue=1M", "receive-buffer=1M", "allow=::/0", "control=x",
                   "count=3", "hex", "json"):
        name = option.split("=")[0]
        check_usage(["--read", "x", f"--{option}"],
                    f"--{name} does not go with --read")
    for option in "name=x", "port=1", "count=3", "hex", "json":
        name = option.split("=")[0]
        check_usage(["9090", f"--{option}"],
                    f"--{name} does not go with ports to listen on")
    for option in "name=x", "port=1", "queue=1M", "allow=::/0":
        name = option.split("=")[0]
        check_usage(["bindings", f"--{option}"],
                    f"--{name} does not go with bindings")
    check_usage(["open", "a", "9090", "--read", "x"],
                "--read does not go with open")
    check_usage(["stats", "--hex"], "--hex goes with trace only")
    check_usage(["stats", "--count", "1"], "--count goes with trace only")
    check_usage(["trace", "a", "--count", "0"],
                "--count: '0' is no number of datagrams")
    check_usage(["--read", "x", "--port", "1,x"],
                "--port: 'x' is no port: 1 to 65535")
    check_usage(["--read", "x", "--port", ","],
                "--port: a list of ports, as 2055,9995")
    check_usage(["--read", "x", "--name", "a b"], "'a b' is no binding name: "
                "1 to 63 letters, digits, dots, dashes and underscores")


def test_unknown_option(_):
    """an unknown option"""
    done = receiver.run("--nonsense")
    tap.equal(done.returncode, 2, "exit status")
    tap.equal(b"nonsense" in done.stderr, True, "it is named")


def test_in_use(_):
    """a port in use"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        check([f"edge=127.0.0.1:{port}"], 1,
              f"flowrecv: edge: 127.0.0.1:{port} is in use; to see by whom: "
              f"ss -ulnp sport = :{port}\n")
        check([port], 1, f"flowrecv: default: [::]:{port} is in use; to see "
              f"by whom: ss -ulnp sport = :{port}\n")


def test_foreign_address(_):
    """an address that is not this machine's"""
    check(["192.0.2.1:9090"], 1, "flowrecv: default: cannot bind "
          "192.0.2.1:9090: Cannot assign requested address\n")


tap.main(globals())
