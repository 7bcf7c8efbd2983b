#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Generated queries give what sqlite3 says of the same rows."""
import datetime
import ipaddress
import json
import os
import random
import re
import sqlite3
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import flowq_rows as fr

SEED = 20261123
QUERIES = 400
ROWS = 6000
NUMBERS = ['src_port', 'dst_port', 'protocol', 'octet_count', 'packet_count',
           'tcp_flags', 'src_as']
ADDRESSES = ['src_addr', 'dst_addr']
COLUMNS = NUMBERS + ADDRESSES + ['interface_name', '_time']


def address(text):
    return int(ipaddress.ip_address(text))


class Variance:
    def __init__(self):
        self.values = []

    def step(self, value):
        if value is not None:
            self.values.append(value)

    def finalize(self):
        return (float(statistics.variance(self.values))
                if len(self.values) > 1 else None)


def database(rows):
    db = sqlite3.connect(':memory:')
    db.create_aggregate('percentile', 2, fr.Percentile)
    db.create_aggregate('var', 1, Variance)
    db.execute('create table t (%s, _id)' % ', '.join(
        '"%s"' % c for c in COLUMNS))
    for r in rows:
        v = [r.get(c) for c in COLUMNS] + [None]
        for k, c in enumerate(COLUMNS):
            if c in ADDRESSES and v[k] is not None:
                v[k] = address(v[k])
        db.execute('insert into t values (%s)' % ','.join('?' * len(v)), v)
    return db


def number_rows(root, db):
    """The _id that rows got when they were stored."""
    columns = ', '.join(COLUMNS)
    _, out, _ = fr.ask(root, 'table t | fields _id, ' + columns, '--format',
                       'json')
    ids = {}
    for line in out.splitlines():
        row = json.loads(line)
        ids.setdefault(tuple(number(c, row[c], ADDRESSES) for c in COLUMNS),
                       []).append(row['_id'])
    for n, *row in db.execute('select rowid, %s from t' % columns).fetchall():
        db.execute('update t set _id = ? where rowid = ?',
                   (ids[tuple(row)].pop(), n))


class Generator:
    """Pairs of a query and the SQL that means the same."""

    def __init__(self, rng):
        self.rng = rng

    def number(self):
        return self.rng.choice([0, 1, 6, 17, 22, 53, 80, 100, 443, 1000, 8080,
                                30000, 64512, 65535, 65536, 1 << 20, 1 << 33])

    def value(self, depth=0):
        """A numeric expression."""
        k = self.rng.randrange(6 if depth < 2 else 2)
        if k < 2 or depth > 2:
            c = self.rng.choice(NUMBERS)
            return c, c
        if k == 2:
            n = str(self.number())
            return n, n
        a, sa = self.value(depth + 1)
        b, sb = self.value(depth + 1)
        op = self.rng.choice(['+', '-', '*', '%'])
        if op == '%':
            n = str(self.rng.choice([0, 2, 3, 7, 100]))
            return '(%s) %% %s' % (a, n), '(%s) %% %s' % (sa, n)
        if op == '*':
            n = str(self.rng.choice([2, 8, 100]))
            return '(%s) * %s' % (a, n), '(%s) * %s' % (sa, n)
        return '(%s %s %s)' % (a, op, b), '(%s %s %s)' % (sa, op, sb)

    def leaf(self):
        rng = self.rng
        k = rng.randrange(10)
        if k < 3:
            c, n = rng.choice(NUMBERS), self.number()
            op = rng.choice(['==', '!=', '<', '<=', '>', '>='])
            if rng.random() < 0.2:
                flip = {'<': '>', '>': '<', '<=': '>=', '>=': '<='}
                return ('%d %s %s' % (n, op, c),
                        '%s %s %d' % (c, flip.get(op, op), n))
            return '%s %s %d' % (c, op, n), '%s %s %d' % (c, op, n)
        if k == 3:
            a, sa = self.value()
            b, sb = self.value()
            op = rng.choice(['==', '!=', '<', '<=', '>', '>='])
            return '%s %s %s' % (a, op, b), '%s %s %s' % (sa, op, sb)
        if k == 4:
            c = rng.choice(NUMBERS)
            some = ', '.join(str(self.number())
                             for _ in range(rng.randrange(1, 5)))
            no = rng.choice(['', 'not '])
            return '%s %sin (%s)' % (c, no, some), \
                '%s %sin (%s)' % (c, no, some)
        if k == 5:
            c = rng.choice(ADDRESSES)
            net = rng.choice(['10.0.0.0/8', '10.1.0.0/16', '10.2.3.0/24',
                              '192.168.1.0/24', '192.168.0.4/30',
                              '0.0.0.0/0', '10.1.1.1/32'])
            n = ipaddress.ip_network(net)
            lo, hi = int(n[0]), int(n[-1])
            return '%s in %s' % (c, net), \
                '%s between %d and %d' % (c, lo, hi)
        if k == 6:
            c = rng.choice(ADDRESSES)
            a = '10.%d.%d.%d' % (rng.randrange(3), rng.randrange(4),
                                 rng.randrange(30))
            op = rng.choice(['==', '!=', '<', '>='])
            return '%s %s %s' % (c, op, a), '%s %s %d' % (c, op, address(a))
        if k == 7:
            c = rng.choice(NUMBERS + ['interface_name', 'src_addr'])
            f, sql = rng.choice([('isnull', 'is null'),
                                 ('isnotnull', 'is not null')])
            return '%s(%s)' % (f, c), '%s %s' % (c, sql)
        if k == 8:
            s = rng.choice(['eth0', 'wan', '', 'nope'])
            op = rng.choice(['==', '!=', '<', '>'])
            return 'interface_name %s "%s"' % (op, s), \
                "interface_name %s '%s'" % (op, s)
        s = rng.choice(['eth*', '*0', '*t*', '*'])
        return 'interface_name == "%s"' % s, \
            "interface_name glob '%s'" % s

    def condition(self, depth=0):
        k = self.rng.randrange(5 if depth < 3 else 2)
        if k < 2:
            return self.leaf()
        if k == 2:
            a, sa = self.condition(depth + 1)
            return 'not (%s)' % a, 'not (%s)' % sa
        word = 'and' if k == 3 else 'or'
        parts = [self.condition(depth + 1)
                 for _ in range(self.rng.randrange(2, 4))]
        return ('(%s)' % (' %s ' % word).join(p[0] for p in parts),
                '(%s)' % (' %s ' % word).join(p[1] for p in parts))

    def aggregate(self):
        k = self.rng.randrange(7)
        if k == 0:
            return 'count', 'count(*)'
        a, sa = self.value(1)
        if self.rng.random() < 0.3:
            return self.rare(a, sa)
        f = self.rng.choice(['count', 'sum', 'avg', 'min', 'max'])
        if f == 'avg':
            return 'avg(%s)' % a, 'avg(%s)' % sa
        if f == 'sum':
            return 'sum(%s)' % a, 'coalesce(sum(%s), 0)' % sa
        return '%s(%s)' % (f, a), '%s(%s)' % (f, sa)

    def rare(self, a, sa):
        f = self.rng.choice(['dc', 'range', 'var', 'stddev', 'median',
                             'percentile'])
        if f == 'dc':
            a = self.rng.choice([a, 'src_addr', 'dst_addr', 'interface_name'])
            return 'dc(%s)' % a, 'count(distinct (%s))' % (
                sa if a not in COLUMNS else a)
        if f == 'range':
            return 'range(%s)' % a, '(max(%s) - min(%s))' % (sa, sa)
        if f == 'var':
            return 'var(%s)' % a, 'var(%s)' % sa
        if f == 'stddev':
            return 'stddev(%s)' % a, 'sqrt(var(%s))' % sa
        p = 50 if f == 'median' else self.rng.choice([0, 1, 25, 95, 99.9, 100])
        return ('median(%s)' % a if f == 'median' else
                'percentile(%s, %s)' % (a, p), 'percentile(%s, %s)' % (sa, p))

    def stats(self):
        keys = self.rng.sample(
            ['src_addr', 'dst_addr', 'dst_port', 'protocol', 'tcp_flags',
             'src_as', 'interface_name', 'src_port % 10', 'dst_port * 2',
             'protocol + src_as'],
            self.rng.randrange(0, 4))
        aggs = []
        for i in range(self.rng.randrange(1, 4)):
            q, s = self.aggregate()
            aggs.append(('%s as a%d' % (q, i), '%s as a%d' % (s, i)))
        return keys, aggs


def comparable(v):
    if isinstance(v, float):
        return float('%.10g' % v)
    return v


def same(a, b):
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and \
            (isinstance(a, float) or isinstance(b, float)):
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1)
    return a == b


def normal(row, names):
    return [address(row[n]) if n in ADDRESSES and row[n] is not None
            else row[n] for n in names]


def order(row):
    return [(v is not None, isinstance(v, str), v if v is not None else 0)
            for v in row]


def one(root, db, g):
    """A description if flowq and sqlite differ, else None."""
    rng = g.rng
    query, where = 'table t', ''
    if rng.random() < 0.85:
        c, sql = g.condition()
        query += ' | search ' + c
        where = ' where ' + sql
    if rng.random() < 0.7:
        keys, aggs = g.stats()
        names = ['k%d' % i for i in range(len(keys))] + \
            ['a%d' % i for i in range(len(aggs))]
        query += ' | stats ' + ', '.join(a[0] for a in aggs)
        if keys:
            query += ' by ' + ', '.join('%s as k%d' % (k, i)
                                        for i, k in enumerate(keys))
        sql = 'select %s from t%s' % (', '.join(
            ['%s as k%d' % (k, i) for i, k in enumerate(keys)] +
            [a[1] for a in aggs]), where)
        if keys:
            sql += ' group by ' + ', '.join(
                str(i + 1) for i in range(len(keys)))
        addresses = {'k%d' % i for i, k in enumerate(keys)
                     if k in ADDRESSES}
        ordered = False
        if keys and rng.random() < 0.4:
            n = rng.randrange(1, 12)
            down = rng.choice(['', '-'])
            query += ' | sort limit=%d %sa0, %s' % (
                n, down, ', '.join(names[:len(keys)]))
            sql += ' order by a0%s, %s limit %d' % (
                ' desc' if down else '', ', '.join(names[:len(keys)]), n)
            ordered = True
        elif keys:
            sql += ' order by ' + ', '.join(names[:len(keys)])
            ordered = True
    else:
        names = rng.sample(COLUMNS[:-1], rng.randrange(1, 5))
        addresses = set(names) & set(ADDRESSES)
        query += ' | fields ' + ', '.join(names)
        sql = 'select %s from t%s' % (', '.join(names), where)
        ordered = False
        if rng.random() < 0.5:
            n = rng.randrange(1, 50)
            downs = [rng.choice(['', '-']) for _ in names]
            query += ' | sort limit=%d %s' % (n, ', '.join(
                d + c for d, c in zip(downs, names)))
            sql += ' order by %s limit %d' % (', '.join(
                c + (' desc' if d else '') for d, c in zip(downs, names)), n)
            ordered = True
    return compare(root, db, query, sql, names, addresses, ordered)


def combined(root, db, g):
    """The same of a join or a union."""
    rng = g.rng
    c, sc = g.condition()
    d, sd = g.condition()
    keys = rng.sample(['src_addr', 'dst_addr', 'dst_port', 'protocol',
                       'tcp_flags', 'src_as', 'interface_name'],
                      rng.randrange(1, 3))
    k, names = ', '.join(keys), keys + ['a', 'b']
    a, sa = g.aggregate()
    b, sb = g.aggregate()
    outer = 'table t | search %s' % c
    souter = 'select * from t where %s' % sc
    if rng.random() < 0.5:
        outer += ' | stats %s as a by %s' % (a, k)
        souter = 'select %s, %s as a from t where %s group by %s' % (
            k, sa, sc, k)
    else:
        outer += ' | eval a = octet_count'
        souter = 'select %s, octet_count as a from t where %s' % (k, sc)
    if rng.random() < 0.3:
        query = '%s | fields %s, a | union [ table t | search %s | ' \
            'fields %s, octet_count as b ]' % (outer, k, d, k)
        sql = 'select %s, a, null as b from (%s) union all select %s, ' \
            'null, octet_count from t where %s' % (k, souter, k, sd)
    else:
        left = rng.random() < 0.4
        query = '%s | join %s%s [ table t | search %s | stats %s as b by %s' \
            ' ]' % (outer, 'type=left ' if left else '', k, d, b, k)
        sql = 'select %s, a, b from (%s) x %sjoin (select %s, %s as b from' \
            ' t where %s group by %s) y on %s' % (
                ', '.join('x.' + n for n in keys), souter,
                'left ' if left else '', k, sb, sd, k,
                ' and '.join('x.%s = y.%s' % (n, n) for n in keys))
    if rng.random() < 0.5:
        query += ' | stats count, sum(a), sum(b)'
        sql = 'select count(*), coalesce(sum(a), 0), coalesce(sum(b), 0) ' \
            'from (%s)' % sql
        names = ['count', 'sum(a)', 'sum(b)']
    else:
        query += ' | fields ' + ', '.join(names)
    return compare(root, db, query, sql, names, set(keys) & set(ADDRESSES),
                   False)


def summed(root, db, g):
    """The same of top and dedup."""
    rng = g.rng
    c, sc = g.condition()
    keys = rng.sample(['src_addr', 'dst_addr', 'dst_port', 'protocol',
                       'tcp_flags', 'src_as', 'interface_name'],
                      rng.randrange(1, 4))
    k = ', '.join(keys)
    if rng.random() < 0.5:
        extra = rng.sample([n for n in COLUMNS if n not in keys], 2)
        names = keys + extra
        way = rng.choice(['', 'order=asc '])
        query = 'table %st | search %s | dedup %s' % (way, c, k)
        first = 'rank() over (partition by %s order by _time%s, _id%s)' % (
            (k,) + ((' desc',) * 2 if not way else ('',) * 2))
        sql = 'select %s from (select *, %s as r from t where %s) where ' \
            'r = 1 order by _time%s, _id%s' % (
                ((', '.join(names), first, sc) +
                 ((' desc',) * 2 if not way else ('',) * 2)))
        if rng.random() < 0.4:
            n = rng.randrange(8)
            query += ' | limit %d' % n
            sql += ' limit %d' % n
        return compare(root, db, query + ' | fields ' + ', '.join(names), sql,
                       names, set(names) & set(ADDRESSES), True)
    a, sa = rng.choice([('', 'count(*)'), g.aggregate()])
    n = rng.choice([0, 1, 3, 10, 1000])
    query = 'table t | search %s | top limit=%d %s%s | fields %s, a, percent' \
        % (c, n, k, ' by %s as a' % a if a else '', k)
    if not a:
        query = query.replace('| fields', '| rename count as a | fields')
    sql = 'select *, 100.0 * a / (select sum(a) from g) from g order by a ' \
        'desc nulls last, %s limit %d' % (k, n)
    sql = 'with g as (select %s, %s as a from t where %s group by %s) %s' % (
        k, sa, sc, k, sql)
    return compare(root, db, query, sql, keys + ['a', 'percent'],
                   set(keys) & set(ADDRESSES), True)


def charted(root, db, g):
    """The same of timechart, whose columns SQL has to be told."""
    rng = g.rng
    c, sc = g.condition()
    a, sa = g.aggregate()
    text, us = rng.choice([('7s', 7), ('1m', 60), ('5m', 300), ('1h', 3600),
                           ('1d', 86400)])
    bucket = '_time / %d * %d' % (us * 1000000, us * 1000000)
    query = 'table t | search %s | timechart span=%s fill=no %s as a' % (
        c, text, a)
    if rng.random() < 0.5:
        query += ' | fields _time, a'
        sql = 'select %s, %s from t where %s group by 1 order by 1' % (
            bucket, sa, sc)
        return compare(root, db, query, sql, ['_time', 'a'], set(), True)
    key, n = rng.choice(['dst_port', 'tcp_flags', 'src_as', 'src_port %% 7']
                        ), rng.randrange(1, 12)
    key = key.replace('%%', '%')
    query = query.replace('timechart', 'timechart limit=%d' % n) + ' by ' + key
    ranks = list(db.execute(
        'select %s, %s from t where %s group by 1 order by 2 desc nulls last,'
        ' 1' % (key, sa, sc)))
    # Without rows of it, a value has what an aggregate of nothing is.
    cells, names = [], []
    for value, _ in ranks[:n]:
        names.append('null' if value is None else str(value))
        cells.append('%s is %s' % (key, 'null' if value is None else value))
    if len(ranks) > n:
        names.append('other')
        cells.append('not (%s)' % ' or '.join(cells) if cells else 'true')
    if not ranks:
        return compare(root, db, query, 'select 1 where false', [], set(),
                       True)
    sql = 'select %s, %s from t where %s group by 1 order by 1' % (
        bucket, ', '.join(of_some(sa, cell) for cell in cells), sc)
    return compare(root, db, query, sql, ['_time'] + names, set(), True)


def of_some(aggregate, condition):
    """An aggregate in SQL over the rows of a condition only."""
    parts, rest = [], aggregate
    while True:
        found = re.search(r'\b(count|sum|avg|min|max|var|percentile)\(', rest)
        if not found:
            return ''.join(parts) + rest
        at, depth = found.end(), 1
        while depth:
            depth += {'(': 1, ')': -1}.get(rest[at], 0)
            at += 1
        parts.append(rest[:at] + ' filter (where %s)' % condition)
        rest = rest[at:]


def number(name, value, addresses):
    """A value as it is in the database."""
    if name in addresses and value is not None:
        return address(value)
    if name == '_time':
        return int(datetime.datetime.fromisoformat(
            value.replace('Z', '+00:00')).timestamp() * 1000000)
    return value


def compare(root, db, query, sql, names, addresses, ordered):
    """A description if the answers differ, else None."""
    rc, out, err = fr.ask(root, query, '--format', 'json', '-q')
    if rc != 0:
        return '%s\nexit %d: %s' % (query, rc, err)
    got = []
    for line in out.splitlines():
        row = json.loads(line)
        got.append([number(n, row[n], addresses) for n in names])
    want = [list(r) for r in db.execute(sql)]
    if not ordered:
        got.sort(key=order)
        want.sort(key=order)
    if len(got) != len(want):
        return '%s\n%s\n%d rows, not %d' % (query, sql, len(got), len(want))
    for a, b in zip(got, want):
        if not all(same(x, y) for x, y in zip(a, b)):
            return '%s\n%s\n%r, not %r' % (query, sql, a, b)
    return None


def generate(root, db, what, rng, queries):
    """Asks so many, up to 5 that differ: the texts of those."""
    bad = []
    g = Generator(rng)
    for n in range(queries):
        text = what(root, db, g)
        if text:
            bad.append(text)
        if len(bad) > 5:
            break
    return bad


def main():
    rows = fr.random_rows(ROWS, SEED)
    db = database(rows)
    failed = 0
    print('1..4')
    with tempfile.TemporaryDirectory() as root:
        # Several writers: blocks that overlap in time, of several shapes.
        for a, b in (0, 4000), (4000, 5000), (5000, ROWS):
            fr.store(root, 't', rows[a:b])
        number_rows(root, db)
        for n, what, queries, name in (
                (1, one, QUERIES, 'generated queries'),
                (2, combined, QUERIES // 2, 'joins and unions'),
                (3, summed, QUERIES // 4, 'tops and dedups'),
                (4, charted, QUERIES // 4, 'timecharts')):
            bad = generate(root, db, what, random.Random(SEED), queries)
            failed += bool(bad)
            print('%sok %d - %d %s agree with sqlite3' % (
                'not ' if bad else '', n, queries, name))
            for text in bad:
                print('# ' + text.replace('\n', '\n#   '))
    return 1 if failed else 0


sys.exit(main())
