#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Named loggers: their commands with the old console's texts, definitions
# written by hand, and systemctl where systemd is the init.
import json
import os
import pathlib
import stat
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

scratch = tempfile.TemporaryDirectory()
work = pathlib.Path(scratch.name)
CONFIG, STATE = work / "config", work / "state"
NAME = r"local\netflow-logger"
os.environ["FLOW_RUN"] = str(work / "run")
os.environ["TZ"] = "UTC"


def flowlog(verb, *args, config=CONFIG):
    status, out, err = run(["flowlog", verb, "--config", str(config),
                            "--state", str(STATE), *args])
    return status, out.decode(), err


def create():
    is_(flowlog("create", NAME, "--source-id", "71,106", "--fields",
                "src_addr,dst_addr"),
        (0, "logger created: name=local\\netflow-logger, "
            "factory=local\\netflow, status=stopped (passive), log count=0, "
            "last start=null, last run=null, last log=null\n", ""),
        "created, in the old words")
    is_([p.name for p in CONFIG.iterdir()],
        ["local%5Cnetflow-logger.conf"], "a file of that name, encoded")
    is_((CONFIG / "local%5Cnetflow-logger.conf").read_text(),
        "# logger local\\netflow-logger: see flowlog(1)\n"
        "source-id = 71,106\nfields = src_addr,dst_addr\n",
        "a small text file")
    is_(flowlog("create", NAME),
        (1, "", "flowlog: there is a logger local\\netflow-logger already\n"),
        "not twice")
    is_(flowlog("show", NAME),
        (0, "Logger [local\\netflow-logger]\n"
            "* Description: null\n"
            "* Logger Factory: local\\netflow\n"
            "* Status: Stopped\n"
            "* Interval: 0ms\n"
            "* Last Log: N/A\n"
            "* Last Run: N/A\n"
            "* Log Count: 0\n"
            "* Drop Count: 0\n"
            "Configuration\n"
            "* source-id: 71,106\n"
            "* fields: src_addr,dst_addr\n", ""), "the old status page")


def all_settings():
    args = ["--table", "netflows", "--host", "r1", "--description",
            'a "b" é', "--from", "unix:/run/x", "--to", "unix:/run/y",
            "--source-id", "1", "--exporter", "10.0.0.0/8", "--where",
            "src net 10.0.0.0/8 and port 80", "--match", "a=^x#=y",
            "--match", "b = z", "--invert", "--rename", "a=b", "--eval",
            "c = n + 1", "--tag", "d=e f", "--fields", "-n,x*"]
    status, out, err = flowlog("create", "all", *args)
    is_((status, err), (0, ""), "all settings")
    is_((CONFIG / "all.conf").read_text().splitlines()[1:],
        ['description = a "b" é', "table = netflows", "host = r1",
         "from = unix:/run/x", "to = unix:/run/y", "source-id = 1",
         "exporter = 10.0.0.0/8", "where = src net 10.0.0.0/8 and port 80",
         "match = a=^x#=y", "match-not = b = z", "rename = a=b",
         "eval = c = n + 1", "tag = d=e f", "fields = -n,x*"],
        "as they were given, steps in their order")
    page = flowlog("show", "all")[1]
    ok("* Description: a \"b\" é\n" in page and "* table: netflows\n" in page
       and "* match-not: b = z\n" in page, "and on the page", page)
    shown = json.loads(flowlog("show", "all", "--json")[1])
    is_({k: shown[k] for k in ("name", "factory", "status", "table", "host",
                               "description", "log_count", "last_log",
                               "from", "to")},
        {"name": "all", "factory": r"local\netflow", "status": "stopped",
         "table": "netflows", "host": "r1", "description": 'a "b" é',
         "log_count": 0, "last_log": None, "from": "unix:/run/x",
         "to": "unix:/run/y"}, "show --json")
    is_(shown["steps"].splitlines()[0], "source-id = 1", "with its steps")


def names():
    for name in ("../../etc/passwd", "..", ".", "/", "a/b", "~", "-", "%41",
                 "a b", "é", "*", "x" * 63, "$(reboot)", "a.conf", "`"):
        status, out, err = flowlog("create", "--", name)
        ok(status == 0 and "name=%s," % name in out, "a logger %r" % name,
           err)
        is_(flowlog("show", "--", name)[0], 0, "that can be shown")
    outside = [str(p) for p in work.rglob("*")
               if p.is_file() and p.parent not in (CONFIG, STATE)]
    is_(outside, [], "no file is anywhere else")
    status, out, err = flowlog("list", "--json")
    have = {json.loads(x)["name"] for x in out.splitlines()}
    ok({"../../etc/passwd", "..", "x" * 63, "`", NAME, "all"} <= have,
       "all are listed", have)
    out = flowlog("list")[1].splitlines()
    is_(out[:2], ["Loggers", "-------"], "under a heading")
    is_([x for x in out if "netflow-logger" in x],
        ["name=local\\netflow-logger, factory=local\\netflow, "
         "status=stopped (passive), log count=0, last start=null, last "
         "run=null, last log=null"], "in the line that create prints")
    for name in ("", "x" * 64, "a\nb", "\x1b[31m", "a\x7f", "\x80",
                 b"\xff"):
        status, out, err = flowlog("create", "--", name)
        ok(status == 2 and "a logger's name is" in err and "\x1b" not in err,
           "no logger %r" % name, err)
    for name in have - {NAME}:
        is_(flowlog("remove", "--", name), (0, "logger removed\n", ""),
            "remove %r" % name)
    is_(flowlog("show", "all"),
        (1, "", "flowlog: there is no logger all in %s; flowlog list shows "
         "those that there are\n" % CONFIG), "it is gone")


def by_hand(text, name="hand"):
    (CONFIG / (name + ".conf")).write_bytes(
        text if isinstance(text, bytes) else text.encode())
    return flowlog("show", name)


def definitions():
    status, out, err = by_hand("\n# a comment\n\n  table =  t  \r\n"
                               "where=dst_port == 443\n\ttag = a=b")
    is_((status, err), (0, ""), "written by hand, with blanks and comments")
    is_(out.split("Configuration\n")[1],
        "* table: t\n* where: dst_port == 443\n* tag: a=b\n", "as meant")
    path = str(CONFIG / "hand.conf")
    for text, said in (
            ("table = t\nwere = x\n",
             path + ":2: there is no setting 'were' (did you mean where?)"),
            ("table = t\n\nwhere = dst_port ==\n",
             path + ":3: where: expected a field, a value or (, found the "
             "end, at character 12 of 'dst_port =='"),
            ("# x\nexporter = 10.0.0.0/99\n", path + ":2: exporter: "
             "'10.0.0.0/99' is no address"),
            ("match = a=(\n", path + ":1: match: "),
            ("table = t\ntable = u\n", path + ":2: table is there twice"),
            ("table\n", path + ":1: 'table' is no KEY = VALUE"),
            ("= x\n", path + ":1: there is no setting ''"),
            ("from = /run/x\n", path + ":1: from: '/run/x' is no socket"),
            ("from = unix:/%s\n" % ("x" * 200),
             path + ":1: from: 'unix:/xxx"),
            ("table = %s\n" % ("t" * 81), path + ":1: table: a table's name "
             "has 81 bytes (80 may be)"),
            ("host = %s\n" % ("h" * 256), path + ":1: host: it is UTF-8 "
             "text of up to 255 bytes"),
            ("host = a\x1bb\n", path + ":1: host: it is UTF-8 text"),
            (b"host = \xff\n", path + ":1: host: it is UTF-8 text"),
            ("tag = a=b\n" * 257, path + ":257: more than 256 steps"),
            ("where = %s\n" % ("x" * 70000), path + ":1: where: longer than "
             "65536 bytes"),
            ("where = " + "(" * 60000 + "\n", path + ":1: where: expression "
             "nested too deep"),
            ("where = " + " or ".join(["n == 1"] * 6000) + "\n", ""),
            ("# %s\n" % ("x" * (1 << 20)), path + " is larger than 1048576 "
             "bytes"),
            (b"table = a\0b\n", path + ": a NUL byte in it"),
            (os.urandom(4096), path)):
        status, out, err = by_hand(text)
        if not said:
            is_(status, 0, "a condition of 6000 parts")
            continue
        ok(status == 1 and said in err and err.count("\n") == 1 and
           "\x1b" not in err, "wrong: %s" % said[len(path):][:40] or "no "
           "text at all", err)
    status, out, err = flowlog("list")
    ok(status == 1 and "netflow-logger" in out and path in err,
       "list shows the others and says which is wrong", (out, err))
    is_(flowlog("start", "hand", "--init", "none")[0], 1,
        "one that is wrong does not start")
    is_(flowlog("remove", "hand")[:2], (0, "logger removed\n"),
        "but can be removed")
    (CONFIG / "a b.conf").write_text("")
    (CONFIG / ".hidden.conf").write_text("")
    (CONFIG / "x.conf~").write_text("")
    status, out, err = flowlog("list")
    ok(status == 0 and err.count("\n") == 1 and "a b.conf: left out" in err,
       "a file with a name that none has is left out, and told of", err)
    os.unlink(CONFIG / "a b.conf")
    os.unlink(CONFIG / "x.conf~")
    os.mkfifo(CONFIG / "fifo.conf")
    (CONFIG / "dir.conf").mkdir()
    status, out, err = flowlog("list")
    ok(status == 1 and "dir.conf" in err, "what is no file hangs nothing",
       err)
    os.unlink(CONFIG / "fifo.conf")
    (CONFIG / "dir.conf").rmdir()


def lifecycle():
    """Detached, without anybody to connect to."""
    is_(flowlog("stop", NAME), (1, "", "flowlog: the logger "
                                "local\\netflow-logger is not running\n"),
        "what does not run cannot be stopped")
    is_(flowlog("start", NAME, "--init", "none"), (0, "logger started\n",
                                                   ""), "started")
    shown = json.loads(flowlog("show", NAME, "--json")[1])
    is_((shown["status"], shown["connected"]), ("running", False), "it runs")
    ok(os.readlink("/proc/%d/exe" % shown["pid"]).endswith("flowlog"),
       "as a process of its own")
    ok("* Status: Running (not connected)\n" in flowlog("show", NAME)[1],
       "on the page too, which says that it waits for flowdecode")
    ok(", status=running (passive), " in flowlog("list")[1], "and listed")
    is_(flowlog("start", NAME, "--init", "none"),
        (1, "", "flowlog: the logger local\\netflow-logger runs already\n"),
        "once")
    is_(flowlog("run", NAME),
        (1, "", "flowlog: the logger local\\netflow-logger runs already\n"),
        "also by run")
    is_(flowlog("update", NAME, "--source-id", "1"),
        (1, "", "flowlog: the logger local\\netflow-logger is running: stop "
         "it before you change it\n"), "changing one that runs is refused")
    is_(flowlog("stop", NAME, "--init", "none"), (0, "logger stopped\n", ""),
        "stopped")
    log = (STATE / "local%5Cnetflow-logger.log").read_text()
    ok("trying again" in log, "what it said is in its log", log)
    shown = json.loads(flowlog("show", NAME, "--json")[1])
    is_(shown["status"], "stopped", "it is")
    ok(shown["last_start"] is not None, "and has the time of its start")
    is_(flowlog("update", NAME, "--source-id", "1", "--table", "t"),
        (0, "logger updated\n", ""), "now it can be changed")
    is_(flowlog("show", NAME)[1].split("Configuration\n")[1],
        "* table: t\n* source-id: 1\n", "the steps that are given are all")
    is_(flowlog("update", NAME, "--table", "")[0], 0, "no table again")
    is_(flowlog("show", NAME)[1].split("Configuration\n")[1],
        "* source-id: 1\n", "and the steps stay where none is given")
    flowlog("start", NAME, "--init", "none")
    pid = json.loads(flowlog("show", NAME, "--json")[1])["pid"]
    is_(flowlog("remove", NAME, "--init", "none"), (0, "logger removed\n",
                                                    ""),
        "removing one that runs stops it")
    ok(not os.path.exists("/proc/%d/exe" % pid), "first")
    is_([p for d in (CONFIG, STATE) for p in d.iterdir()
         if "netflow" in p.name], [], "and leaves nothing")


def unwritable():
    (work / "file").write_text("")
    status, out, err = flowlog("create", "x", config=work / "file")
    ok(status == 1 and str(work / "file") in err, "no directory", err)
    (CONFIG / "y.conf").write_text("")
    status, out, err = run(["flowlog", "start", "--config", str(CONFIG),
                            "--state", str(work / "file"), "--init", "none",
                            "y"])
    ok(status == 1 and str(work / "file") in err, "no state", err)
    flowlog("remove", "y")


def systemd():
    """What would be asked of systemctl."""
    bin = work / "bin"
    bin.mkdir()
    script = bin / "systemctl"
    script.write_text('#!/bin/sh\nprintf "%%s|" "$@" >>%s/asked\n'
                      'test -e %s/ok\n' % (work, work))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    path = os.environ["PATH"]
    os.environ["PATH"] = "%s:%s" % (bin, path)
    (work / "ok").write_text("")
    for name, unit in ((NAME, r"local\x5cnetflow\x2dlogger"),
                       ("a/b.c:d_e", "a-b.c:d_e"), (".x", r"\x2ex"),
                       ("é $x", r"\xc3\xa9\x20\x24x")):
        flowlog("create", "--", name)
        (work / "asked").write_text("")
        is_(flowlog("start", "--init", "systemd", "--", name),
            (0, "logger started\n", ""), "start %s" % name)
        is_((work / "asked").read_text(),
            "start|--|flowlog@%s.service|" % unit, "asks systemctl for it")
        flowlog("remove", "--", name)
    flowlog("create", "x")
    os.unlink(work / "ok")
    status, out, err = flowlog("start", "--init", "systemd", "x")
    is_((status, err), (1, "flowlog: systemctl start flowlog@x.service "
                        "failed; journalctl -u flowlog@x.service says why\n"),
        "where it fails that is said")
    is_(flowlog("start", "--init", "runit", "x"),
        (2, "", "flowlog: --init: 'runit' is not systemd or none\n"
         "see flowlog --help\n"), "another init")
    flowlog("remove", "x")
    os.environ["PATH"] = path


def usage():
    for args, said in ((["creat", "x"], "(did you mean create?)"),
                       (["create"], "which logger? flowlog create NAME"),
                       (["show", "a", "b"], "show takes one name"),
                       (["list", "a"], "list takes no name"),
                       (["show", "x", "--table", "t"],
                        "--table is no option of flowlog show"),
                       (["create", "x", "--format", "json"],
                        "--format is no option of flowlog create"),
                       (["create", "x", "--json"],
                        "--json is no option of flowlog create"),
                       (["create", "x", "-v"],
                        "--verbose is no option of flowlog create"),
                       (["create", "x", "--where", "1 +"], "--where: "),
                       (["create", "x", "--tag", "a=b\nc"],
                        "it is one line of text"),
                       (["create", "x", "--table", "a\nb"], "--table: ")):
        status, out, err = flowlog(*args)
        ok(status == 2 and said in err, " ".join(args), err)
    flowlog("create", "edge")
    for verb in ("show", "start", "stop", "remove", "update", "trace", "last",
                 "run"):
        is_(flowlog(verb, "egde"),
            (1, "", "flowlog: there is no logger egde in %s (did you mean "
             "edge?); flowlog list shows those that there are\n" % CONFIG),
            "%s: no such logger" % verb)
    is_(flowlog("remove", "edge")[0], 0, "removed")


def default_table():
    """A logger that is bound to no table by name has one of its own."""
    is_(flowlog("create", NAME, "--host", "r1")[0], 0, "bound by its host")
    is_(flowlog("show", NAME)[1].split("Configuration\n")[1],
        "* table: local\\netflow-logger\n* host: r1\n",
        "the table is called like the logger")
    is_(flowlog("update", NAME, "--table", "t")[0], 0, "or otherwise")
    is_(flowlog("show", NAME)[1].split("Configuration\n")[1],
        "* table: t\n* host: r1\n", "if that is said")
    status, out, err = flowlog("update", NAME, "--table", "")
    ok(status == 2 and "--host goes with --table" in err,
       "no table, but a host", err)
    flowlog("remove", NAME)


create()
all_settings()
names()
definitions()
lifecycle()
unwritable()
systemd()
usage()
default_table()
done()
