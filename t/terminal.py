# SPDX-License-Identifier: BSD-2-Clause
"""A program on a terminal of its own, for tests."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """Runs ARGS with stdout, stderr and stdin on a new terminal; with
    errors=True stderr is the terminal too."""

    def __init__(self, args, width=80, height=24, errors=True, env=None):
        self.master, slave = pty.openpty()
        size = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        full = dict(os.environ, TZ="UTC", LANG="C.UTF-8", LC_ALL="C.UTF-8",
                    TERM="xterm")
        full.update(env or {})

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.p = subprocess.Popen(
            args, stdin=slave, stdout=slave,
            stderr=slave if errors else subprocess.PIPE, env=full,
            preexec_fn=own_terminal, close_fds=True)
        os.close(slave)
        self.text = ""

    def read(self, seconds):
        """What comes within the time; False at the end."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            piece = os.read(self.master, 65536)
        except OSError:
            return False
        self.text += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)

    def wait_for(self, text, seconds=60):
        """Reads until TEXT is there; what came up to it is taken away."""
        end = time.monotonic() + seconds
        while text not in self.text:
            left = end - time.monotonic()
            if left < 0 or not self.read(left):
                raise AssertionError(f"no {text!r} in {self.text!r}")
        before, _, self.text = self.text.partition(text)
        return before

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, seconds=60):
        """All that is left, and the exit code."""
        end = time.monotonic() + seconds
        while self.read(max(0, end - time.monotonic())):
            assert time.monotonic() < end, f"goes on: {self.text!r}"
        code = self.p.wait(max(1, end - time.monotonic()))
        os.close(self.master)
        return self.text, code
