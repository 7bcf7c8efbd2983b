#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""flowrecv: ports by name at run time."""
import json
import os
import resource
import socket
import stat
import subprocess
import time

import netflow
import receiver
import tap

RULE = "Port Bindings\n-------------\n"


def tally(n):
    return f"received {n}, refused 0, queue-dropped 0, queued 0, sent {n}"


def test_open(scratch):
    """open, bindings, close: words as they were"""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, a) as r:
        tap.equal(r.control("bindings"),
                  (0, RULE + f"name=default, port={a}\n", ""))
        tap.equal(r.control("open", "edge", b), (0, "port opened\n", ""))
        tap.equal(r.control("bindings"),
                  (0, RULE + f"name=default, port={a}\nname=edge, port={b}\n",
                   ""))
        receiver.send(b, [b"x", b"y"])
        r.wait_received(2)
        tap.equal(r.control("close", "edge"), (0, "port closed\n", ""))
        tap.equal(r.control("bindings"),
                  (0, RULE + f"name=default, port={a}\n", ""))
        receiver.send(a, [b"z"])
        r.wait_received(3)
        got = r.datagrams()
        lines = r.said().splitlines()
        tap.equal(r.counters()["closed ports"]["sent"], 2, "of closed ports")
    tap.equal([(d[2], d[3], d[7]) for d in got],
              [(1, "edge", b"x"), (2, "edge", b"y"), (3, "default", b"z")])
    for line in (f"flowrecv: edge: listening on [::]:{b}, receive buffer "
                 "67108864 bytes", "flowrecv: edge: closed"):
        tap.equal(line in lines, True, f"{line} in {lines}")


def test_addresses(scratch):
    """ports of one address; as JSON"""
    a, b, c = receiver.free_ports(3)
    with receiver.Receiver(scratch, f"x={a}") as r:
        r.open("y", f"127.0.0.1:{b}")
        r.open("z", f"[::1]:{c}")
        code, out, err = r.control("bindings")
        tap.equal(out, RULE + f"name=x, port={a}\nname=y, port={b}, address="
                  f"127.0.0.1\nname=z, port={c}, address=::1\n")
        code, out, err = r.control("bindings", "--json")
        tap.equal((code, err), (0, ""))
        tap.equal([json.loads(line) for line in out.splitlines()],
                  [{"name": n, "port": p, "address": address,
                    "receive_buffer": 64 << 20} for n, p, address in
                   (("x", a, None), ("y", b, "127.0.0.1"), ("z", c, "::1"))])


def test_none(scratch):
    """a flowrecv without a port, which is told of some"""
    port, = receiver.free_ports(1)
    path = scratch / "here"
    with receiver.Receiver(scratch, f"--control={path}") as r:
        netflow.wait_for(path.exists, "the socket")
        tap.equal(receiver.command("bindings", "--control", path),
                  (0, RULE, ""))
        tap.equal(receiver.command("--control", path, "open", "x", port),
                  (0, "port opened\n", ""))
        receiver.send(port, [b"x"])
        r.wait_received(1)
        tap.equal([d[3] for d in r.datagrams()], ["x"])


def test_errors(scratch):
    """a name or a port that is taken, a name that is not there"""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, f"x={a}") as r:
        tap.equal(r.control("open", "x", b),
                  (1, "", f"flowrecv: x is open already, on [::]:{a}; close "
                   "it first or take another name\n"))
        tap.equal(r.control("open", "y", a),
                  (1, "", f"flowrecv: y: [::]:{a} is in use; to see by whom: "
                   f"ss -ulnp sport = :{a}\n"))
        tap.equal(r.control("open", "y", f"192.0.2.1:{b}"),
                  (1, "", f"flowrecv: y: cannot bind 192.0.2.1:{b}: Cannot "
                   "assign requested address\n"))
        for verb in "close", "trace", "stats":
            tap.equal(r.control(verb, "nobody"),
                      (1, "", "flowrecv: no port is named nobody; flowrecv "
                       "bindings lists those that are open\n"), verb)
        tap.equal(r.control("close", "\x1b[31m"),
                  (1, "", "flowrecv: no port is named ?[31m; flowrecv "
                   "bindings lists those that are open\n"))
        tap.equal(r.control("bindings"), (0, RULE + f"name=x, port={a}\n", ""))


def test_usage(scratch):
    """words that are missing or too many print the usage"""
    usage = {"open": "open NAME [ADDRESS:]PORT", "close": "close NAME",
             "trace": "trace NAME [--hex] [--count N] [--json]",
             "bindings": "bindings [--json]", "stats": "stats [NAME] [--json]"}
    for words in (["open"], ["open", "x"], ["open", "x", "1", "2"], ["close"],
                  ["close", "x", "y"], ["trace"], ["trace", "x", "y"],
                  ["bindings", "x"], ["stats", "x", "y"]):
        tap.equal(receiver.command(*words),
                  (2, "", "usage: flowrecv [--control PATH] "
                   f"{usage[words[0]]}\n"), str(words))
    see = "\nsee flowrecv --help\n"
    tap.equal(receiver.command("open", "a b", "9"),
              (2, "", "flowrecv: 'a b' is no binding name: 1 to 63 letters, "
               "digits, dots, dashes and underscores" + see))
    tap.equal(receiver.command("open", "a", "70000"),
              (2, "", "flowrecv: a=70000: '70000' is no port: 1 to 65535" +
               see))
    tap.equal(receiver.command("open", "a", "b=9"),
              (2, "", "flowrecv: a=b=9: 'b=9' is no port: 1 to 65535" + see))


def test_nobody(scratch):
    """no daemon, or none that one may talk to"""
    path = scratch / "s"
    end = "; is one running? its --control says where\n"
    for words in (["bindings"], ["stats"], ["trace", "x"], ["close", "x"],
                  ["open", "x", "9090"]):
        tap.equal(receiver.command(*words, "--control", path),
                  (1, "", f"flowrecv: no flowrecv answers at {path}: No such "
                   "file or directory" + end), str(words))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
    tap.equal(receiver.command("bindings", "--control", path),
              (1, "", f"flowrecv: no flowrecv answers at {path}: Connection "
               "refused" + end))
    tap.equal(receiver.command("bindings")[2],
              f"flowrecv: no flowrecv answers at {scratch}/run/flowrecv.sock: "
              "No such file or directory" + end)


def test_stats(scratch):
    """counters of all ports and of one, as text and as JSON"""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, f"a={a}", f"b={b}") as r:
        receiver.send(a, [b"x"] * 3)
        receiver.send(b, [b"x"] * 2)
        r.wait_received(5)
        code, out, err = r.control("stats")
        tap.equal((code, err), (0, ""))
        lines = out.splitlines()
        tap.equal(lines[:3], [f"a: {tally(3)}, kernel-dropped 0",
                              f"b: {tally(2)}, kernel-dropped 0",
                              "exporters: known 2, evicted 0"])
        tap.equal(sorted(lines[3:]), [f"a 127.0.0.1: {tally(3)}",
                                      f"b 127.0.0.1: {tally(2)}"])
        tap.equal(r.control("stats", "b"),
                  (0, f"b: {tally(2)}, kernel-dropped 0\n"
                   f"b 127.0.0.1: {tally(2)}\n", ""))
        said = [m for m in r.said().splitlines() if "received" in m]
        tap.equal(sorted("flowrecv: " + line for line in lines
                         if "received" in line), sorted(said[-4:]),
                  "what SIGUSR1 says")
        code, out, err = r.control("stats", "--json")
        rows = [json.loads(line) for line in out.splitlines()]
        same = {"refused": 0, "queue_dropped": 0, "queued": 0}
        tap.equal(rows[:3],
                  [{"name": "a", "received": 3, "sent": 3, **same,
                    "kernel_dropped": 0},
                   {"name": "b", "received": 2, "sent": 2, **same,
                    "kernel_dropped": 0},
                   {"exporters_known": 2, "exporters_evicted": 0}])
        tap.equal(sorted(rows[3:], key=lambda row: row["name"]),
                  [{"name": n, "exporter": "127.0.0.1", "received": k,
                    "sent": k, **same} for n, k in (("a", 3), ("b", 2))])


def test_socket(scratch):
    """the socket: permissions, one that is stale, one in use, gone at the end
    """
    a, b = receiver.free_ports(2)
    path = scratch / "deep" / "s"
    with receiver.Receiver(scratch, f"--control={path}", a) as r:
        tap.equal(stat.S_IMODE(path.stat().st_mode), 0o660, "permissions")
        tap.equal(receiver.command(f"--control={path}", b),
                  (1, "", f"flowrecv: {path}: in use by process "
                   f"{r.process.pid}\n"))
        r.process.kill()
        r.process.wait()
    tap.equal(path.exists(), True, "it is left behind")
    with receiver.Receiver(scratch, f"--control={path}", a) as r:
        tap.equal(receiver.command(f"--control={path}", "bindings")[0], 0)
        tap.equal(r.stop(), 0, "exit status")
    tap.equal(path.exists(), False, "it is gone")
    path.write_bytes(b"")
    tap.equal(receiver.command(f"--control={path}", a),
              (1, "", f"flowrecv: {path}: something else than a socket is "
               "there\n"))


def test_default(scratch):
    """where it is by default; a second flowrecv does without, and says so"""
    a, b = receiver.free_ports(2)
    with receiver.Receiver(scratch, a) as r:
        path = scratch / "run" / "flowrecv.sock"
        tap.equal(stat.S_ISSOCK(path.stat().st_mode), True, "a socket")
        (scratch / "two").mkdir()
        with receiver.Receiver(scratch / "two", b) as other:
            tap.equal(f"flowrecv: no control socket: {path}: in use by process "
                      f"{r.process.pid}\n" in other.said(), True, other.said())
            tap.equal(other.stop(), 0, "exit status")
        tap.equal(r.control("bindings"),
                  (0, RULE + f"name=default, port={a}\n", ""))
    env = {k: v for k, v in os.environ.items() if k != "FLOW_RUN"}
    env["XDG_RUNTIME_DIR"] = str(scratch / "own")
    if os.access("/run", os.W_OK):
        return  # it would be the machine's
    (scratch / "own").mkdir()
    with receiver.Receiver(scratch, a, env=env) as r:
        tap.equal(receiver.command("bindings", env=env),
                  (0, RULE + f"name=default, port={a}\n", ""))


def test_home(scratch):
    """without a runtime directory it is in the user's home"""
    if os.geteuid() != 0:
        raise tap.Skip("only root can become somebody else")
    a, = receiver.free_ports(1)
    os.chmod(scratch, 0o755)
    home = scratch / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}

    def somebody(*words):
        return subprocess.Popen(
            [tap.program("flowrecv"), *words], env=env, user=65534,
            group=65534, extra_groups=[], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    path = home / ".local/state/flow/flowrecv.sock"
    try:
        daemon = somebody(str(a))
    except PermissionError:
        raise tap.Skip("the programs are not where others may run them")
    try:
        netflow.wait_for(lambda: path.exists() or daemon.poll() is not None,
                         "the socket", 30)
        client = somebody("bindings")
        out, err = client.communicate(timeout=30)
        tap.equal(out, RULE + f"name=default, port={a}\n", err)
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)


def test_last_words(scratch):
    """what came before a close is passed on, also to a reader that is slow"""
    a, b = receiver.free_ports(2)
    read_end, write_end = os.pipe()
    with receiver.Receiver(scratch, f"a={a}", stdout=write_end) as r:
        os.close(write_end)
        r.open("b", b)
        r.freeze()
        receiver.send(b, [n.to_bytes(4, "big") * 300 for n in range(5000)])
        close = subprocess.Popen([tap.program("flowrecv"), "close", "b"],
                                 stdout=subprocess.PIPE)
        path = f"{r.run_at}/flowrecv.sock"
        netflow.wait_for(lambda: open("/proc/net/unix").read().count(path) > 1,
                         "the client to connect")
        r.thaw()
        tap.equal((close.communicate()[0], close.returncode),
                  (b"port closed\n", 0))
        r.open("b", b)
        receiver.send(b, [b"again"])
        r.wait_received(5001)
        tap.equal(r.ask()["b"]["received"], 1, "a new count")
        r.kill(receiver.signal.SIGINT)
        with os.fdopen(read_end, "rb") as f:
            got = receiver.unpack(f.read())
        tap.equal(r.process.wait(timeout=30), 0, "exit status")
        closed = r.counters()["closed ports"]
    tap.equal([int.from_bytes(d[7][:4], "big") for d in got[:-1]] ==
              list(range(5000)), True, "all that was before")
    tap.equal((got[-1][3], got[-1][7]), ("b", b"again"))
    tap.equal((closed["received"], closed["sent"], closed["dropped"],
               closed["kernel"]), (5000, 5000, 0, 0), "counters")


def limit(pid, n):
    """It gets no descriptor of this number or above."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (n, 4096))


def settled(pid):
    """The two lowest numbers that no descriptor of it has, if none has come
    or gone for a moment."""
    def used():
        return {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    before = used()
    time.sleep(0.1)
    free = [n for n in range(len(before) + 2) if n not in before]
    return used() == before and free[:2]


def test_descriptors(scratch):
    """no descriptor is left for a port: said with the remedy, and it goes on
    """
    a, = receiver.free_ports(1)
    with receiver.Receiver(scratch, f"a={a}") as r:
        tap.equal(r.control("bindings")[0], 0, "it is listening")
        none, one = netflow.wait_for(lambda: settled(r.process.pid),
                                     "the client to go")
        limit(r.process.pid, one)
        b, = receiver.free_ports(1)
        tap.equal(r.control("open", "b", b),
                  (1, "", f"flowrecv: b: cannot bind [::]:{b}: Too many open "
                   "files; to raise the limit: ulimit -n, or LimitNOFILE= of "
                   "a service\n"))
        # none even for a client: it waits until there is one
        netflow.wait_for(lambda: settled(r.process.pid) == [none, one],
                         "the client to go")
        limit(r.process.pid, none)
        late = subprocess.Popen([tap.program("flowrecv"), "open", "b", str(b)],
                                stdout=subprocess.PIPE)
        netflow.wait_for(lambda: "control socket: cannot accept: Too many open files" in
                         r.said(), "the complaint")
        receiver.send(a, [b"x"])
        r.wait_received(1)
        limit(r.process.pid, 4096)
        tap.equal((late.communicate()[0], late.returncode),
                  (b"port opened\n", 0))


tap.main(globals())
