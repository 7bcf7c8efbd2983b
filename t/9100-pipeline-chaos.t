#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""The five programs joined by sockets, under load, while stages are killed and
stopped at random: every table ends up as what was sent, record for record.

    FLOW_TEST_CHAOS=600     so many seconds
    FLOW_TEST_RATE=1000000  so many flows a second, all in all; where the
                            kernel dropped some, the tables are checked by
                            what the ledger says was lost
    FLOW_TEST_SEED=n        the same again, as far as time allows
"""
import os
import random
import signal
import subprocess
import time

import chaos
import netflow
import tap

SECONDS = float(os.environ.get("FLOW_TEST_CHAOS", 12))
RATE = int(os.environ.get("FLOW_TEST_RATE", chaos.rate()))
SEED = int(os.environ.get("FLOW_TEST_SEED", random.randrange(1 << 32)))


class Monkey:
    """Does something to one stage after another; some stay dead or stopped
    for a while."""

    def __init__(self, stages, seed):
        self.random = random.Random(seed)
        self.stages = stages
        self.later = []  # (when, stage, what)
        self.kills = dict.fromkeys(stages, 0)
        self.stops = dict.fromkeys(stages, 0)

    def act(self):
        name = self.random.choice(list(self.stages))
        kill = self.random.random() < 0.6
        pause = self.random.random() ** 2 * (0.5 if kill else 1.5)
        if any(n == name for _, n, _ in self.later):
            return
        stage = self.stages[name]
        tap.equal(stage.process.poll(), None,
                  f"{name} has ended: {stage.err.read_text()[-2000:]}")
        if kill:
            stage.kill()
            self.kills[name] += 1
            undo = stage.start
        else:
            stage.process.send_signal(signal.SIGSTOP)
            self.stops[name] += 1
            undo = self.go_on(stage)
        self.later.append((time.monotonic() + pause, name, undo))

    @staticmethod
    def go_on(stage):
        return lambda: stage.process.send_signal(signal.SIGCONT)

    def revive(self, when):
        for item in sorted(self.later, key=lambda i: i[0]):
            if item[0] <= when:
                item[2]()
                self.later.remove(item)

    def run_while(self, busy):
        while busy():
            time.sleep(self.random.random() * 0.3)
            self.revive(time.monotonic())
            self.act()
        self.revive(float("inf"))


def test_chaos(scratch):
    """kill -9 and SIGSTOP of any stage at any moment"""
    tap.comment(f"FLOW_TEST_SEED={SEED} FLOW_TEST_CHAOS={SECONDS:g} "
                f"FLOW_TEST_RATE={RATE}")
    with chaos.Line(scratch, SEED) as line:
        monkey = Monkey(line.stages, SEED)
        with line.load(SECONDS, RATE) as load:
            monkey.run_while(load.busy)
            for name in line.stages:
                tap.comment(f"{name}: killed {monkey.kills[name]} times, "
                            f"stopped {monkey.stops[name]} times")
            line.check(load)


def test_loss(scratch):
    """a stop longer than the kernel's queue is in the ledger, to the datagram
    """
    with chaos.Line(scratch, SEED, 64 << 10) as line:
        recv = line.stages["flowrecv"]
        with line.load(2, RATE) as load:
            while load.busy():
                time.sleep(0.3)
                recv.process.send_signal(signal.SIGSTOP)
                time.sleep(0.4)
                recv.again()
            line.check(load)
            tap.equal(line.lost > 0, True, "some were lost")


def test_upgrade(scratch):
    """each stage is replaced by a new binary under load"""
    with chaos.Line(scratch, SEED) as line:
        with line.load(len(line.stages) * 0.7, RATE) as load:
            for name in line.stages:
                time.sleep(0.5)
                line.upgrade(name)
            line.check(load)


tap.main(globals())
