# SPDX-License-Identifier: BSD-2-Clause
"""Counts the subtests in meson's testlog.json (argument): a line for each
that failed or was skipped, then the numbers passed, failed and skipped."""
import json
import re
import sys

LINE = re.compile(r"(not )?ok\b(.*)")


def count(test, totals):
    before = dict(totals)
    for line in test.get("stdout", "").splitlines():
        found = LINE.match(line)
        if not found:
            continue
        if found[1]:
            totals["failed"] += 1
            print(f"  FAILED {test['name']}:{found[2]}")
        elif "# SKIP" in line:
            totals["skipped"] += 1
            print(f"  skipped {test['name']}:{found[2]}")
        else:
            totals["passed"] += 1
    if test["result"] == "SKIP":
        if totals == before:
            totals["skipped"] += 1
            print(f"  skipped {test['name']}")
    elif test["result"] != "OK" and totals["failed"] == before["failed"]:
        totals["failed"] += 1
        print(f"  {test['result']} {test['name']}")


def main(path):
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    with open(path) as log:
        for line in log:
            count(json.loads(line), totals)
    print(*totals.values())


main(sys.argv[1])
