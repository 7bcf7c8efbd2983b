#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""The rules that a program can check about the source."""
import re
import shutil
import subprocess

import tap
from terminal import Terminal

TOOLS = ("flowrecv", "flowdecode", "flowlog", "flowstore", "flowq")
TOP = sorted(TOOLS + ("README", "common", "meson.build", "t"))
BANNED = ("alloca", "atof", "atoi", "atol", "gets", "sprintf", "sscanf",
          "strcat", "strcpy", "strncat", "strncpy", "strtok", "vsprintf")
FUNCTION_LINES = 60


def folders():
    return [tap.SOURCE / name for name in ("common", "t") + TOOLS]


def sources(*suffixes):
    found = [p for folder in folders() for p in folder.rglob("*")
             if p.suffix in suffixes and p.is_file()]
    assert found, f"no {suffixes} files below {tap.SOURCE}"
    return sorted(found)


def short(path):
    return str(path.relative_to(tap.SOURCE))


def none(problems):
    if problems:
        raise AssertionError("\n" + "\n".join(problems))


def need(name):
    if not shutil.which(name):
        raise tap.Skip(f"{name} is not installed")


def check_output(command):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode != 0 or done.stdout:
        raise AssertionError("\n" + done.stdout)


def is_text(path):
    return (path.suffix in (".c", ".h", ".py", ".t", ".sh") or
            path.name == "meson.build" or path.read_bytes()[:2] == b"#!")


def test_top_level(scratch):
    """the top level holds what it should and nothing else"""
    there = sorted(p.name for p in tap.SOURCE.iterdir()
                   if not p.name.startswith((".", "build")))
    tap.equal(there, TOP, "top level")


def test_licence(scratch):
    """every source file names its licence first"""
    problems = []
    for path in [p for f in folders() for p in f.rglob("*") if p.is_file()]:
        if "__pycache__" in path.parts or not is_text(path):
            continue
        lines = path.read_text().splitlines()[:2]
        lines = [x for x in lines if not x.startswith("#!")][:1]
        if not lines or "SPDX-License-Identifier: BSD-2-Clause" not in lines[0]:
            problems.append(short(path))
    none(problems)


def test_format(scratch):
    """clang-format changes nothing"""
    need("clang-format")
    check_output(["clang-format", "--dry-run", "-Werror"] +
                 [str(p) for p in sources(".c", ".h")])


def allowed_includes(path):
    folder = path.relative_to(tap.SOURCE).parts[0]
    if folder == "t":
        return TOOLS + ("common", "t")
    return ("common",) if folder == "common" else ("common", folder)


def test_includes(scratch):
    """includes are root-relative, and no tool includes another's header"""
    problems = []
    for path in sources(".c", ".h"):
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"',
                               path.read_text(), re.M):
            if name.split("/")[0] not in allowed_includes(path):
                problems.append(f"{short(path)} includes {name}")
    none(problems)


def test_banned(scratch):
    """functions that cannot be used safely are not used"""
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
    problems = []
    for path in sources(".c", ".h"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = pattern.search(line)
            if found:
                problems.append(f"{short(path)}:{number}: {found.group(1)}")
    none(problems)


def test_function_length(scratch):
    """no function is longer than 60 lines"""
    problems = []
    for path in sources(".c"):
        begin = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line == "{":
                begin = number
            elif line == "}" and begin:
                if number - begin - 1 > FUNCTION_LINES:
                    problems.append(f"{short(path)}:{begin}: "
                                    f"{number - begin - 1} lines")
                begin = None
    none(problems)


def test_manuals(scratch):
    """mandoc finds nothing wrong with the manual pages"""
    need("mandoc")
    pages = sources(".1", ".5", ".7")
    check_output(["mandoc", "-T", "lint", "-W", "warning"] +
                 [str(p) for p in pages])


def test_links(scratch):
    """what a manual page refers to exists"""
    pages = sources(".1", ".5", ".7")
    ours = {p.name for p in pages}
    problems = []
    for page in pages:
        for name, section in re.findall(r"^\.Xr (flow\w*) (\d)",
                                        page.read_text(), re.M):
            if f"{name}.{section}" not in ours:
                problems.append(f"{short(page)}: no {name}({section})")
    none(problems)


def tools():
    there = [t for t in TOOLS if (tap.SOURCE / t / f"{t}.c").exists()]
    if not there:
        raise tap.Skip("no tool is there")
    return there


def run(tool, *arguments):
    return subprocess.run([tool, *arguments], executable=tap.program(tool),
                          text=True, stdin=subprocess.DEVNULL, timeout=20,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_help(scratch):
    """every tool has --help and -h, on stdout"""
    for tool in tools():
        for option in ("--help", "-h"):
            done = run(tool, option)
            tap.equal((done.returncode, done.stderr), (0, ""),
                      f"{tool} {option}")
            first = done.stdout.splitlines()[0]
            assert re.match(rf"usage: .*\b{tool} ", first), done.stdout


def test_version(scratch):
    """every tool has --version and -V"""
    for tool in tools():
        for option in ("--version", "-V"):
            done = run(tool, option)
            tap.equal((done.returncode, done.stderr), (0, ""),
                      f"{tool} {option}")
            assert re.fullmatch(rf"{tool} \(flow\) \d+\.\d+\.\d+\n",
                                done.stdout), done.stdout


def test_usage(scratch):
    """an unknown option is a usage error: exit 2, said on stderr"""
    for tool in tools():
        done = run(tool, "--no-such-option")
        tap.equal((done.returncode, done.stdout), (2, ""), f"exit of {tool}")
        assert done.stderr.startswith(f"{tool}: "), done.stderr


def test_has_manual(scratch):
    """every tool has a manual page that names its long options"""
    problems = []
    for tool in tools():
        page = tap.SOURCE / tool / f"{tool}.1"
        if not page.exists():
            problems.append(f"no {tool}.1")
            continue
        text = page.read_text().replace("\\-", "-")
        for option in re.findall(r"(?<!\S)--([a-z][a-z-]+)",
                                 run(tool, "--help").stdout):
            if not re.search(rf"^\.(It|Op) .*-{option}\b", text, re.M):
                problems.append(f"{tool}.1 does not name --{option}")
    none(problems)


def test_help_is_whole(scratch):
    """--help names every option of the manual page"""
    problems = []
    for tool in tools():
        text = (tap.SOURCE / tool / f"{tool}.1").read_text()
        shown = run(tool, "--help").stdout
        for option in set(re.findall(r"^\.It .*?\bFl -([a-z][a-z-]+)", text,
                                     re.M)):
            if not re.search(rf"--{option}\b", shown):
                problems.append(f"{tool} --help does not name --{option}")
    none(problems)


def test_no_terminal(scratch):
    """a filter does not wait for somebody to type records"""
    for tool, *arguments in (["flowdecode"], ["flowlog"],
                             ["flowstore", "--root", str(scratch), "tabels"]):
        t = Terminal([tap.program(tool), *arguments])
        text, code = t.end()
        assert code == 2 and "through a pipe, not from a terminal" in text, \
            f"{tool}: {code} {text}"
    assert "flowstore tabels (did you mean tables?)" in text, text
    tap.equal(list(scratch.iterdir()), [], "tables made")


tap.main(globals())
