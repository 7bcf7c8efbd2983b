#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The console of flowq, and queries from standard input."""
import os
import re
import subprocess
import time

import flowq_rows as fr
import tap
from terminal import Terminal

DAY = 1795428000000000
PROMPT = "flowq> "


class Console(Terminal):
    def __init__(self, root, **env):
        env.setdefault("XDG_STATE_HOME", str(root / "state"))
        super().__init__([fr.FLOWQ, "--root", str(root)], width=200, env=env)
        self.wait_for(PROMPT)

    def ask(self, line, prompt=PROMPT):
        """What is printed for a line, the echo apart."""
        self.type(line + "\r")
        out = self.wait_for(prompt)
        # Before the editor has the terminal, that shows what is typed too.
        first, _, rest = out.partition("\n")
        return rest.partition("\n")[2] if line and \
            rest.startswith(line + "\n") else rest

    def quit(self):
        self.type("\\q\r")
        tap.equal(self.end()[1], 0, "exit")


def needs_editor(root):
    # Without libedit the terminal itself shows what is typed.
    out = subprocess.run(["ldd", fr.FLOWQ], capture_output=True,
                         text=True).stdout
    if "libedit" not in out:
        raise tap.Skip("built without libedit")


def script(root, text, *options, code=0):
    r = subprocess.run([fr.FLOWQ, "--root", str(root), *options], input=text,
                       capture_output=True, text=True, timeout=60,
                       env=dict(os.environ, TZ="UTC"))
    tap.equal(r.returncode, code, r.stderr[-500:])
    return r.stdout, r.stderr


def test_answers(root):
    """queries, errors and help one after another; the footer tells the time"""
    fr.store(str(root), "t", [{"_time": DAY, "n": i} for i in range(3)])
    c = Console(root)
    out = c.ask("table t | stats count, sum(n)")
    assert re.fullmatch(r"count  sum\(n\)\n    3       3\ntotal 1 rows, "
                        r"elapsed \d+\.\ds\n", out), out
    out = c.ask("query table t | stats cont")
    assert "did you mean count" in out and "^" in out, out
    out = c.ask("table nosuch")
    assert "no table nosuch" in out, out
    out = c.ask("help sort")
    assert "sort [limit=N] [-]F" in out and "example: table netflows" in out
    assert "did you mean stats?" in c.ask("help stat")
    assert "union [ QUERY ]" in c.ask("help")
    tap.equal(c.ask("").strip(), "", "an empty line")
    tap.equal(c.ask("# a comment").strip(), "", "a comment")
    out = c.ask("\\nosuch")
    assert "there is no \\nosuch" in out, out
    # Ctrl-D is lost if it comes before the editor has the terminal.
    end = time.monotonic() + 60
    while c.p.poll() is None and time.monotonic() < end:
        c.type("\x04")
        c.read(0.2)
    tap.equal(c.p.wait(1), 0, "exit")


def test_settings(root):
    """\\format, \\timing, \\units; row gives the old platform's look"""
    fr.store(str(root), "netflows", [
        {"_time": DAY, "octet_count": 298138, "packet_count": 408}])
    c = Console(root)
    c.ask("\\format row")
    out = c.ask("query table netflows | stats count, sum(octet_count), "
                "sum(packet_count)")
    assert out.startswith("{count=1, sum(octet_count)=298138, "
                          "sum(packet_count)=408}\ntotal 1 rows, elapsed 0.")
    assert "unknown format xml" in c.ask("\\format xml")
    assert "json" in c.ask("\\format")
    c.ask("\\format table")
    assert "on" in c.ask("\\units")
    assert "298.1K" in c.ask("table netflows | fields octet_count")
    assert "off" in c.ask("\\timing")
    tap.equal(c.ask("table netflows | stats count"), "count\n    1\n")
    assert "netflows" in c.ask("\\tables")
    c.type("exit\r")
    tap.equal(c.end()[1], 0, "exit")


def test_lines(root):
    """a query goes on behind a bar, a backslash, an open bracket or string"""
    fr.store(str(root), "t", [{"_time": DAY, "n": i} for i in range(3)])
    c = Console(root)
    for parts in (["table t |", "stats count"], ["table t \\", "| stats count"],
                  ["table t | # all", "stats count"],
                  ["table t | union [", "table t", "| limit 0 ]|",
                   "stats count"],
                  ["table t | search n in (0, 1,", "2) | stats count"]):
        for part in parts[:-1]:
            c.ask(part, "    -> ")
        out = c.ask(parts[-1])
        assert out.startswith("count\n    3\n"), (parts, out)
    c.ask("table t |", "    -> ")
    c.type("\x03")
    c.wait_for(PROMPT)
    assert "    3" in c.ask("table t | stats count")
    c.quit()


def test_interrupt(root):
    """Ctrl-C ends a query or a line, and never the console"""
    fr.store(str(root), "t", [{"_time": DAY + i, "k": 0, "n": i}
                              for i in range(3000)])
    c = Console(root)
    for _ in range(3):
        c.type("table t | what is th")
        c.type("\x03")
        c.wait_for(PROMPT)
    slow = "table t | join k [ table t | fields k ] | " + \
        "eval x = n % 7 | stats sum(x), count by x"
    for delay in 0, 0.01, 0.1, 0.3:
        c.type(slow + "\r")
        time.sleep(delay)
        c.type("\x03")
        c.wait_for(PROMPT)
    # The line editor may have seen Ctrl-C too; what is typed works.
    c.type("\r")
    c.wait_for(PROMPT)
    c.type("table t | stats count\r")
    c.wait_for("3000")  # prompts may be more than queries by now
    c.quit()


def test_history(root):
    """the history is kept, also from one console to the next"""
    needs_editor(root)
    fr.store(str(root), "t", [{"_time": DAY, "n": 5}])
    c = Console(root)
    c.ask("table t |", "    -> ")
    c.ask("stats max(n)")
    c.quit()
    path = root / "state" / "flowq" / "history"
    tap.equal(path.stat().st_mode & 0o777, 0o600, "mode")
    c = Console(root)
    c.type("\x1b[A")
    c.wait_for("stats max(n)")
    c.type("\r")
    assert "5" in c.wait_for(PROMPT)
    c.quit()
    path.write_text("no history\x00\x1b[31m\n" * 5)
    Console(root).quit()
    Console(root, XDG_STATE_HOME="/proc/nowhere").quit()


def test_completion(root):
    """Tab completes commands, tables, fields where they are, functions"""
    needs_editor(root)
    fr.store(str(root), "netflows", [
        {"_time": DAY, "octet_count": 7, "src_addr": "10.0.0.1"}])
    c = Console(root)
    for typed, want in (
            ("tab\tnetf\t| sta\tcount", "    1"),
            ("table netflows | fields octe\t", "    7"),
            ("table netflows | search src\t== 10.0.0.1 | stats count", "  1"),
            ("table netflows | stats sum(oct\t) as octets | sort -oct\t", "7"),
            ("table netflows | eval twice = octet_count * 2 | fields tw\t",
             "14"),
            ("table netflows | eval x = is_priv\tsrc_addr) | fields x",
             "true"),
            ("table netflows | union [ tab\tnetf\t] | stats count", "    2"),
            ("system tabl\t| fields rows", "1"),
            ("help so\t", "sort [limit=N]")):
        c.type(typed)
        c.type("\r")
        out = c.wait_for(PROMPT)
        assert want in out.split("\n", 1)[1], (typed, out)
    # Nothing to offer, or a query that is none yet, is no trouble.
    for typed in "table nosuch | fields \t", "| \t", "\t\t", "[[[[ \t", '"\t':
        c.type(typed + "\x03")
        c.wait_for(PROMPT)
    c.quit()


def test_script(root):
    """standard input: a query goes on where it is open or a bar begins"""
    fr.store(str(root), "t", [{"_time": DAY, "n": i} for i in range(3)])
    out, err = script(root, "table t | stats count\ntable t\n"
                      "  | search n > 0\n\n  # not this one\n  | stats sum(n)\n"
                      "\\format json\ntable t | stats \\\n max(n)")
    tap.equal((out, err), ('{count=3}\n{sum(n)=3}\n{"max(n)":2}\n', ""))
    out, err = script(root, "table t | stats count\ntable t | stats\n"
                      "table t | stats count\n", code=2)
    tap.equal(out, "{count=3}\n", "up to the error")
    assert "expected an aggregate" in err
    out, err = script(root, "table nosuch\n", code=1)
    assert "no table nosuch" in err
    for text in "", "\n\n", "# nothing\n":
        out, err = script(root, text, code=2)
        assert "no query" in err, err
    out, err = script(root, "table t | stats count\n\\q\nnonsense\n")
    tap.equal(out, "{count=3}\n")
    out, err = script(root, "x" * (17 << 20), code=1)
    assert "more than 16 MiB" in err, err[:300]


def test_help(root):
    """each command has help, an example that runs, and both in flowq(1)"""
    fr.store(str(root), "netflows", fr.random_rows(500, 8))
    page = (tap.SOURCE / "flowq" / "flowq.1").read_text()
    page = re.sub(r"\s+", " ", page.replace("\\-", "-").replace("\\e", "\\"))
    out, _ = script(root, "help\n")
    names = re.findall(r"^  (\w+)(?: |$)", out, re.M)
    for name in ("table", "csvfile", "jsonfile", "system", "search", "where",
                 "eval", "fields", "rename", "stats", "timechart", "top",
                 "sort", "limit", "dedup", "join",
                 "union", "lookup", "outputcsv", "outputjson", "import",
                 "explain"):
        assert name in names, name
    for name in names + ["expressions", "functions", "aggregates"]:
        out, _ = script(root, f"help {name}\n")
        assert name in ("functions", "aggregates") or name in page, name
        example = re.search(r"^example: (.*)$", out, re.M)
        if not example:
            assert name in ("csvfile", "jsonfile", "lookup", "outputcsv",
                            "outputjson", "import"), name
            continue
        got, err = script(root, example.group(1) + "\n")
        assert got and not err, (name, got, err)
        assert example.group(1) in page, f"flowq(1) lacks: {example.group(1)}"
    # Every command there is, by what an unknown one is told.
    r = subprocess.run([fr.FLOWQ, "--root", str(root), "table t | zzzzzzzz"],
                       capture_output=True, text=True)
    for name in r.stderr.split("there are ")[1].split("\n")[0].split(", "):
        assert name in names, f"no help about {name}"


def test_help(root):
    """flowq help TOPIC on the command line; --help has every command"""
    for words in (["help", "stats"], ["help stats"]):
        out, err = script(root, "", *words)
        assert out.startswith("stats F, ..."), (words, out, err)
    out, err = script(root, "", "help")
    whole = script(root, "", "--help")[0]
    verbs = re.findall(r"^  (\w+) ", out.split("explain QUERY")[0], re.M)
    assert "timechart" in verbs and len(verbs) > 15, verbs
    for verb in set(verbs) - {"where"}:
        assert re.search(rf"\b{verb}\b", whole), (verb, whole)
    script(root, "", "help", "statz", code=2)
    script(root, "", "table", "t", code=2)


tap.main(globals())
