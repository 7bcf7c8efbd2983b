#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""The services under a real systemd: a Debian that boots in a container.

Takes minutes and fetches a Debian the first time, so it runs only where it is
asked for, as root:

    FLOW_SERVICES=/var/tmp/flow-debian t/9300-services.t

The Debian is made in that directory if it is not there, and not written to
after that."""
import os
import pathlib
import shutil
import subprocess

import netflow
import tap

PACKAGES = ("systemd,dbus,libevent-core-2.1-7,libevent-extra-2.1-7,libmaxminddb0,libmsgpackc2,liblmdb0,libpcap0.8,"
            "liblz4-1,libzstd1,libxxhash0,libedit2,iproute2")
UNIT = """[Unit]
After=multi-user.target
[Service]
Type=simple
ExecStart=/bin/sh -c 'bash /test/services.sh >/test/log 2>&1'
ExecStopPost=/bin/systemctl poweroff
"""


def debian():
    root = pathlib.Path(os.environ.get("FLOW_SERVICES", ""))
    if root == pathlib.Path(""):
        raise tap.Skip("FLOW_SERVICES does not say where a Debian may be made")
    netflow.need("debootstrap", "systemd-nspawn")
    if not (root / "made").exists():
        subprocess.run(["debootstrap", "--variant=minbase",
                        f"--include={PACKAGES}", "bookworm", str(root)],
                       check=True, stdout=subprocess.DEVNULL)
        unit = root / "etc/systemd/system/flow-test.service"
        unit.write_text(UNIT)
        wants = root / "etc/systemd/system/default.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit.name).symlink_to(f"../{unit.name}")
        (root / "made").touch()
    return root


def test_services(scratch):
    """installed, enabled, killed, restarted: no flow is lost"""
    root = debian()
    subprocess.run(["meson", "install", "-C", str(tap.BUILD), "--no-rebuild",
                    "--quiet", "--destdir", str(scratch / "install")],
                   check=True)
    shutil.copy(tap.program("gen"), scratch / "gen")
    shutil.copy(tap.T / "services.sh", scratch)
    with open(scratch / "console", "wb") as console:
        subprocess.run(["systemd-nspawn", "-D", str(root), "-b", "--quiet",
                        "--register=no", "--keep-unit", "--private-network",
                        "--volatile=overlay", f"--bind={scratch}:/test"],
                       stdin=subprocess.DEVNULL, stdout=console,
                       stderr=subprocess.STDOUT, timeout=600)
    log = (scratch / "log").read_text(errors="replace")
    tap.comment(log)
    assert "\nnot ok" not in log and "\n1.." in log, "see above"


tap.main(globals())
