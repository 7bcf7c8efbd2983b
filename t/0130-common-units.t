#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""The systemd units: as they would be installed, but for where programs
are."""
import re
import shutil
import subprocess

import tap

TOOLS = ("flowrecv", "flowdecode", "flowlog", "flowstore")
EXPOSURE_MAX = 2.0


def analyze(*args):
    if not shutil.which("systemd-analyze"):
        raise tap.Skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", "--no-pager", *map(str, args)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)


def units(scratch):
    """Each unit in a file; the template with a name."""
    for tool in TOOLS:
        plain = [p for end in ("socket", "target")
                 for p in (tap.SOURCE / tool).glob(f"*.{end}")]
        for path in plain + list((tap.BUILD / tool).glob("*.service")):
            name = path.name.replace("@", "@local-netflow")
            text = re.sub(r"(?m)^ExecStart=\S+/", f"ExecStart={tap.BUILD}/"
                          f"{tool}/", path.read_text())
            (scratch / name).write_text(text)
    found = sorted(scratch.iterdir())
    assert len(found) >= 6, found
    return found


def test_verify(scratch):
    """systemd finds nothing wrong with the units"""
    done = analyze("verify", "--man=no", "--recursive-errors=no",
                   *units(scratch))
    tap.equal((done.returncode, done.stdout), (0, ""), "verify")


def test_security(scratch):
    """no service is exposed by 2.0 or more"""
    for unit in units(scratch):
        if unit.suffix != ".service":
            continue
        done = analyze("security", "--offline=yes", unit)
        level, = re.findall(r"exposure level for \S+: ([0-9.]+)", done.stdout)
        tap.comment(f"{unit.name}: {level}")
        assert float(level) < EXPOSURE_MAX, done.stdout


def test_options(scratch):
    """each option that a unit gives is one that its program has"""
    for unit in units(scratch):
        found = re.findall(r"(?ms)^ExecStart=(.*?[^\\])$", unit.read_text())
        for line in found:
            words = line.replace("\\\n", " ").split()
            usage = subprocess.run([words[0], "--help"], text=True,
                                   stdout=subprocess.PIPE).stdout
            for word in words[1:]:
                if word.startswith("--"):
                    assert re.search(rf"{word}\b", usage), (unit.name, word)


tap.main(globals())
