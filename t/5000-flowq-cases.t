#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The cases of *.cases: a query and all that it must print."""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import flowq_rows as fr


def value(text):
    """A field of an input line."""
    if text == 'null':
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text.replace('~', ' ')


def parse(path):
    """Tables and cases.

    `= TABLE` begins rows, NAME=VALUE ... a line (~ is a blank); `--` between
    them ends a block.  `? [options] QUERY` begins a case; what follows is what
    it prints, errors with `! `.  Lines end in a backslash to go on.  A case
    ends at an empty line; # is a comment where a table or case may begin.
    """
    tables, cases, current = {}, [], None
    with open(path) as f:
        lines = f.read().split('\n')
    for number, line in enumerate(lines, 1):
        if not line:
            current = None
        elif current is None and line.startswith('#'):
            continue
        elif line.startswith('= '):
            current = tables.setdefault(line[2:], [[]])
        elif line.startswith('? '):
            current = {'line': number, 'query': line[2:], 'out': [],
                       'err': [], 'open': line.endswith('\\')}
            cases.append(current)
        elif isinstance(current, dict):
            if current['open']:
                current['query'] += '\n' + line
                current['open'] = line.endswith('\\')
            elif line.startswith('!'):
                current['err'].append(line[2:])
            else:
                current['out'].append(line)
        elif isinstance(current, list):
            if line == '--':
                current.append([])
            else:
                pairs = (p.split('=', 1) for p in line.split())
                row = {k: value(v) for k, v in pairs}
                current[-1].append({k: v for k, v in row.items()
                                    if v is not None})
        else:
            sys.exit('%s:%d: what is this?' % (path, number))
    return tables, cases


def run(root, case):
    words, options = case['query'], []
    while words.startswith('-'):
        option, words = words.split(' ', 1)
        options.append(option)
    rc, out, err = fr.ask(root, words, *options)
    want_rc = 0
    if case['err']:
        want_rc = 2 if any(l.strip() == '^' for l in case['err']) else rc
    got = out.split('\n')[:-1]
    errors = [l.replace(root, 'ROOT') for l in err.split('\n')[:-1]]
    problems = []
    if got != case['out']:
        problems += ['got  ' + l for l in got] + \
            ['want ' + l for l in case['out']]
    if errors != case['err']:
        problems += ['stderr got  ' + l for l in errors] + \
            ['stderr want ' + l for l in case['err']]
    if rc != want_rc:
        problems.append('exit %d, not %d' % (rc, want_rc))
    return problems


def check(name, tables, cases, n):
    """Runs the cases of a file from number N on: how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as root:
        for table, blocks in tables.items():
            for rows in blocks:
                fr.store(root, table, rows)
        for n, case in enumerate(cases, n):
            problems = run(root, case)
            failed += bool(problems)
            print('%sok %d - %s.cases:%d: %s' % (
                'not ' if problems else '', n, name, case['line'],
                case['query'].replace('\n', ' ').replace('#', '\\#')))
            for p in problems:
                print('#   ' + p)
    return failed


def main():
    n = failed = 0
    for name in ('flowq', 'function', 'verb'):
        tables, cases = parse(os.path.join(HERE, name + '.cases'))
        failed += check(name, tables, cases, n + 1)
        n += len(cases)
    print('1..%d' % n)
    return 1 if failed else 0


sys.exit(main())
