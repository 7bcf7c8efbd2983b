#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""All programs: standard descriptors that are closed or full, options that
are wrong, signals before and after the work."""
import os
import signal
import subprocess

import netflow
import records
import tap

FILTERS = "flowdecode", "flowlog", "flowstore"
PROGRAMS = ("flowrecv", *FILTERS, "flowq")


def shell(line, scratch):
    """(exit, stdout, stderr) of a line of shell; $flowlog and so on are the
    programs, the folder is empty."""
    env = {**os.environ, **{p: tap.program(p) for p in PROGRAMS}}
    done = subprocess.run(["bash", "-c", line], cwd=scratch, env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def some_rows(scratch, n=100):
    (scratch / "rows").write_bytes(records.batch(
        n, {"octet_count": ("u32", list(range(n)))}))


def test_closed_stdin(scratch):
    """a closed standard input is an error"""
    for p, more in (("flowdecode", ""), ("flowlog", ""),
                    ("flowstore", "--root . t")):
        tap.equal(shell(f"${p} {more} <&-", scratch),
                  (1, "", f"{p}: read: Bad file descriptor\n"), p)
    code, _, err = shell("$flowrecv --read - <&-", scratch)
    tap.equal((code, "Bad file descriptor" in err), (1, True), "flowrecv")


def test_closed_output(scratch):
    """nothing that is meant for people gets into a table"""
    some_rows(scratch)
    for closed in ">&- 2>&-", "2>&-":
        line = f"$flowstore -v --root tables t <rows {closed}"
        tap.equal(shell(line, scratch), (0, "", ""), line)
        lock = (scratch / "tables" / "t" / ".lock").read_text()
        tap.equal(lock.strip().isdigit(), True, f"a number in {lock!r}")
    tap.equal(shell("$flowq --root tables 'table t | stats count'", scratch),
              (0, "{count=100}\n", ""), "flowq")


def test_full_output(scratch):
    """output that cannot be written is an error that is said"""
    some_rows(scratch)
    shell("$flowstore --root . t <rows", scratch)
    for p in PROGRAMS:
        for option in "--help", "--version":
            tap.equal(shell(f"${p} {option} >/dev/full", scratch),
                      (1, "", f"{p}: cannot write: No space left on device\n"),
                      f"{p} {option}")
    for line in ("$flowlog <rows", "$flowlog --format json <rows",
                 "$flowq --root . 'table t'"):
        for where in ">/dev/full", ">&-":
            code, _, err = shell(f"{line} {where}", scratch)
            tap.equal((code, err.count("\n"), err.startswith("flow")),
                      (1, 1, True), f"{line} {where}: {err}")


def test_options(scratch):
    """wrong options are named, whatever is in them"""
    for p in PROGRAMS:
        for option, text in (("--bogus", "unknown option --bogus"),
                             ("-Z", "unknown option -Z"),
                             ("--help=3", "--help=3: the option takes no "
                              "value"),
                             ("$'--\\e[31m\\x9b\\xc2\\x9b1m'",
                              "unknown option --?[31m???1m")):
            tap.equal(shell(f"{p}={tap.program(p)}; ${p} {option}", scratch),
                      (2, "", f"{p}: {text}\nsee {p} --help\n"),
                      f"{p} {option}")
    for p, option in (("flowrecv", "--queue"), ("flowlog", "--fields"),
                      ("flowstore", "--root"), ("flowq", "--root"),
                      ("flowdecode", "--sampling")):
        tap.equal(shell(f"${p} {option}", scratch),
                  (2, "", f"{p}: {option}: a value is missing\n"
                   f"see {p} --help\n"), f"{p} {option}")


def test_terminal_bytes(scratch):
    """what a stream calls its fields moves no cursor"""
    bad = records.batch(1, {"a\u009b31m": ("u8", [1])}).replace(
        b"\xa2u8", b"\xa2u7")
    code, _, err = records.run(["flowlog"], bad)
    tap.equal((code, err), (1, "flowlog: input at offset 0: batch: field "
                            "a??31m is of no known type\n"))


def test_field_names(scratch):
    """field names have no control characters of any kind"""
    for name, what in (("a\u009b31m", "with a control byte"),
                       ("a\u0085", "with a control byte"),
                       ("a\x7f", "with a control byte"),
                       ("a\udcff", "that is not UTF-8")):
        data = records.batch(1, {name: ("u8", [1])})
        for args in ["flowlog"], ["flowstore", "--root", str(scratch), "t"]:
            tap.equal(records.run(args, data),
                      (1, b"", f"{args[0]}: input at offset 0: field name "
                       f"{what}\n"), args[0])
    data = records.batch(1, {"e\u00e9\u00a0": ("u8", [1])})
    tap.equal(records.run(["flowlog"], data), (0, data, ""), "others pass")


def test_names(scratch):
    """a field without a name is refused"""
    for data in (records.batch(1, {"": ("u8", [1])}), b"\x81\xa0\x01"):
        for args in ["flowlog"], ["flowstore", "--root", str(scratch), "t"]:
            code, out, err = records.run(args, data)
            tap.equal((code, out, err.count("\n"), "1 to 63 bytes" in err),
                      (1, b"", 1, True), f"{args[0]}: {err}")


def start(program, *args):
    return subprocess.Popen([tap.program(program), *map(str, args)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def test_late_signal(scratch):
    """a first Ctrl-C after the end of input does not stop the last commit"""
    data = b"".join(records.batch(50000, {
        "octet_count": ("u32", [i * k & 0xffffffff for i in range(50000)])},
        number=k) for k in range(1, 9))
    for n, number in enumerate((signal.SIGINT, signal.SIGTERM,
                                signal.SIGUSR1)):
        p = start("flowstore", "--root", scratch, f"t{n}")
        p.stdin.write(data)
        p.stdin.close()
        while p.poll() is None:
            if reads_no_more(p.pid):
                p.send_signal(number)
                break
        tap.equal(p.wait(30), 0, f"exit status after {number}")
        done = subprocess.run([tap.program("flowq"), "--root", scratch,
                               f"table t{n} | stats count"],
                              stdout=subprocess.PIPE)
        tap.equal(done.stdout, b"{count=400000}\n", "flowq")


def reads_no_more(pid):
    """Whether the event loop of a filter has ended: its pipe for signals and
    its epoll are closed, and then it is not stopped any more."""
    try:
        return not any(name.startswith("pipe:") or "eventpoll" in name
                       for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2
                       for name in [os.readlink(f"/proc/{pid}/fd/{fd}")])
    except OSError:
        return False


tap.main(globals())
