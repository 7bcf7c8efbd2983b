# SPDX-License-Identifier: BSD-2-Clause
"""Exporters that are hostile but plausible, and a decoder to hold ours to.

The first half makes datagrams: templates redefined in flight, ids that are of
options now and of data then, integers of every width, padding of all kinds,
clocks and sequence numbers that wrap, datagrams lost, doubled, late and cut.
It knows lengths and no meaning.

The second half decodes them by RFC 3954, RFC 7011 and flowdecode(1), slowly,
one record after another, without a line of ours."""
import codecs
import collections
import ipaddress
import math
import struct

U, S, F, BOOL, V4, V6, MAC, TEXT, BYTES, SECS, MSECS, NTP = range(12)

# id: name, kind, lengths that exporters send it in
KNOWN = {
    1: ("octet_count", U, (1, 2, 3, 4, 5, 6, 7, 8)),
    2: ("packet_count", U, (1, 2, 3, 4, 5, 6, 7, 8, 9)),
    4: ("protocol", U, (1, 2)), 5: ("tos", U, (1,)),
    6: ("tcp_flags", U, (1, 2)), 7: ("src_port", U, (1, 2, 4)),
    8: ("src_addr", V4, (4,)), 9: ("src_mask", U, (1,)),
    10: ("input", U, (1, 2, 3, 4)), 11: ("dst_port", U, (2,)),
    12: ("dst_addr", V4, (4, 4, 16)), 14: ("output", U, (2, 4)),
    15: ("next_hop", V4, (4,)), 16: ("src_as", U, (2, 3, 4)),
    17: ("dst_as", U, (2, 4)), 21: ("last", U, (4, 4, 4, 3, 8)),
    22: ("first", U, (4, 4, 4, 2)), 27: ("src_addr", V6, (16,)),
    28: ("dst_addr", V6, (16,)), 34: ("sampling_interval", U, (1, 4)),
    48: ("sampler_id", U, (1, 2, 4)),
    50: ("sampler_random_interval", U, (1, 2, 4)),
    56: ("src_mac_address", MAC, (6, 6, 8)), 61: ("flow_direction", U, (1,)),
    62: ("next_hop", V6, (16,)), 82: ("interface_name", TEXT, (5, 16, -1)),
    85: ("octet_total_count", U, (4, 8)), 86: ("packet_total_count", U, (5,)),
    96: ("application_name", TEXT, (3, 24, -1)),
    136: ("flow_end_reason", U, (1,)), 148: ("flow_id", U, (4, 8)),
    150: ("start_time", SECS, (4,)), 151: ("end_time", SECS, (4,)),
    152: ("start_time", MSECS, (8, 6)), 153: ("end_time", MSECS, (8,)),
    154: ("start_time", NTP, (8,)), 155: ("end_time", NTP, (8,)),
    158: ("flow_start_delta_microseconds", U, (4,)),
    159: ("flow_end_delta_microseconds", U, (4,)),
    160: ("system_init_time_milliseconds", MSECS, (8,)),
    161: ("flow_duration_milliseconds", U, (4, 2)),
    162: ("flow_duration_microseconds", U, (4,)),
    210: (None, BYTES, (1, 3, 7)), 225: ("post_nat_src_addr", V4, (4,)),
    231: ("initiator_octets", U, (4, 8)),
    276: ("data_records_reliability", BOOL, (1, 1, 2)),
    281: ("post_nat_src_addr", V6, (16,)), 291: ("basic_list", BYTES, (-1,)),
    292: ("sub_template_list", BYTES, (-1, 9)),
    302: ("selector_id", U, (2, 8)),
    305: ("sampling_packet_interval", U, (4,)),
    306: ("sampling_packet_space", U, (4,)), 309: ("sampling_size", U, (4,)),
    310: ("sampling_population", U, (4,)),
    311: ("sampling_probability", F, (4, 8, 3)),
    434: ("mib_object_value_integer", S, (1, 2, 3, 4)),
}
REVERSE, STRANGER = 29305, 99999
ADDRESSES = (("src_addr", 8, 27), ("dst_addr", 12, 28), ("next_hop", 15, 62))
# what v9 has of the list above
V9_IDS = [i for i in KNOWN if i < 128]
RATES = (34, 48, 50, 10, 302, 305, 306, 309, 310)


# Making.

Field = collections.namedtuple("Field", "enterprise id length")
Template = collections.namedtuple("Template", "id options scopes fields")


class Exporter:
    """One exporter, address and source id."""

    def __init__(self, rng, address, version, source):
        self.rng, self.address = rng, address
        self.version, self.source = version, source
        self.templates = {}
        self.sequence = rng.choice((0, 7, 2**32 - 5, 2**32 - 40))
        self.uptime = rng.choice((1000, 10**8, 2**32 - 20000))
        self.secs = 1700000000
        self.ids = rng.sample(range(256, 65536), 3)

    def value(self, length):
        """Bytes, of which many are small numbers, and some are bounds."""
        r = self.rng
        kind = r.randrange(6)
        if kind < 3:
            return r.randrange(4).to_bytes(length, "big") if length else b""
        if kind == 3:
            return bytes([r.choice((0, 0x7f, 0x80, 0xff))]) * length
        return r.randbytes(length)

    def field_value(self, f):
        if f.length == -1:
            n = self.rng.choice((0, 1, 3, 20, 254, 255, 260))
            head = bytes([n]) if n < 255 and self.rng.random() < .8 else \
                b"\xff" + struct.pack(">H", n)
            return head + self.text(n)
        if f.enterprise == 0 and f.id in (82, 96):
            return self.text(f.length)
        if f.enterprise == 0 and f.id in (21, 22):
            near = self.uptime + self.rng.randrange(-90000, 5000)
            return (near % 2**32 % 256**f.length).to_bytes(f.length, "big")
        if f.enterprise == 0 and f.id in (150, 151, 160) and \
                self.rng.random() < .9:
            at = self.secs - self.rng.randrange(10**6)
            return (at * 1000 if f.id == 160 else at).to_bytes(f.length, "big")
        return self.value(f.length)

    def text(self, n):
        if self.rng.random() < .2:
            return self.rng.randbytes(n)
        name = bytes(self.rng.choice(b"Gi0/1 eth\x1b\xc3\xa4")
                     for _ in range(n))
        return name[:self.rng.randrange(n + 1)].ljust(n, b"\0")

    def field(self):
        r = self.rng
        if self.version == 9:
            pool = V9_IDS
        else:
            pool = list(KNOWN)
        kind = r.random()
        if kind < .85:
            number = r.choice(pool)
            length = r.choice(KNOWN[number][2])
            enterprise = 0
            if self.version == 10 and kind < .06:
                number, enterprise = r.choice((1, 2, 4, 7, 8)), REVERSE
                length = 4
        elif kind < .9:
            return Field(0, r.choice((5, 12, 20001)), 0)
        else:
            number, length = r.choice((20000, 20001, 31000)), r.choice((1, 6))
            enterprise = STRANGER if self.version == 10 and kind > .95 else 0
        return Field(enterprise, number, length)

    def rate_field(self, i):
        number = self.rng.choice(RATES)
        if self.version == 9 and number > 127:
            number = 50
        if self.version == 9 and i == 0:
            return Field(0, self.rng.choice((1, 2)), self.rng.choice((2, 4)))
        return Field(0, number, self.rng.choice(KNOWN[number][2]))

    def template(self):
        r = self.rng
        number, options = r.choice(self.ids), r.random() < .3
        if not options:
            fields = [self.field() for _ in range(r.choice((1, 3, 8, 20)))]
            if r.random() < .5:
                fields += [Field(0, 21, 4), Field(0, 22, 4)]
            return Template(number, False, 0, fields)
        fields = [self.rate_field(i) for i in range(r.choice((2, 3)))]
        if r.random() < .4:
            fields.append(Field(0, 82, r.choice((6, 16))))
        if self.version == 10 and r.random() < .1:
            fields.append(Field(0, 160, 8))
        return Template(number, True, 1, fields)

    def definition(self, t):
        out = struct.pack(">H", t.id)
        if not t.options:
            out += struct.pack(">H", len(t.fields))
        elif self.version == 9:
            out += struct.pack(">HH", 4 * t.scopes,
                               4 * (len(t.fields) - t.scopes))
        else:
            out += struct.pack(">HH", len(t.fields), t.scopes)
        for f in t.fields:
            number = f.id | (0x8000 if f.enterprise else 0)
            out += struct.pack(">HH", number, f.length % 65536)
            if f.enterprise:
                out += struct.pack(">I", f.enterprise)
        return out

    def template_set(self):
        options = None
        body = b""
        for _ in range(self.rng.choice((1, 1, 2))):
            t = self.template()
            if options is None:
                options = t.options
            if t.options != options:
                break
            self.templates[t.id] = t
            body += self.definition(t)
        if self.rng.random() < .03:
            body = body[:-self.rng.randrange(1, 5)]
        return self.a_set((1 if options else 0) +
                          (2 if self.version == 10 else 0), body)

    def withdrawal(self):
        options = self.rng.randrange(2)
        ids = [self.rng.choice([2 + options] + self.ids)
               for _ in range(self.rng.choice((1, 1, 2)))]
        return self.a_set(2 + options, b"".join(
            struct.pack(">HH", i, 0) for i in ids))

    def data_set(self):
        t = self.templates.get(self.rng.choice(self.ids))
        if not t:
            return self.a_set(self.rng.choice(self.ids),
                              self.rng.randbytes(self.rng.choice((0, 4, 40))))
        body = b"".join(self.field_value(f)
                        for _ in range(self.rng.choice((1, 2, 5)))
                        for f in t.fields)
        if self.rng.random() < .03:
            body = body[:-self.rng.randrange(1, 9)]
        return self.a_set(t.id, body)

    def a_set(self, number, body):
        """With padding: none, to 4 bytes, of bytes that are not zero."""
        kind = self.rng.random()
        if kind < .4:
            body += b"\0" * (-len(body) % 4)
        elif kind < .5:
            body += b"\xff" * self.rng.randrange(4)
        elif kind < .55:
            body += b"\0" * self.rng.randrange(9)
        return struct.pack(">HH", number, 4 + len(body)) + body

    def a_piece(self):
        kind = self.rng.random()
        if kind < .35 or not self.templates:
            return self.template_set()
        if kind < .4 and self.version == 10:
            return self.withdrawal()
        if kind < .41:
            return self.a_set(self.rng.randrange(4, 256), b"\0\1\2\3")
        return self.data_set()

    def fixed(self):
        n = self.rng.choice((0, 1, 3, 30))
        size = {1: 52, 5: 48, 7: 52}[self.version]
        head = struct.pack(">HHIII", self.version, n, self.uptime % 2**32,
                           self.secs, self.rng.randrange(10**9))
        if self.version != 1:
            head += struct.pack(">I", self.sequence)
        if self.version == 5:
            head += struct.pack(">HH", self.source,
                                self.rng.choice((0, 0, 1, 100, 0x4064)))
        if self.version == 7:
            head += bytes(4)
        body = b"".join(self.value(4) for _ in range(n * size // 4))
        return head + body, n

    def datagram(self):
        """Payload and what its sequence number counts."""
        self.uptime += 1000
        self.secs += 1
        if self.version in (1, 5, 7):
            return self.fixed()
        sets = b"".join(self.a_piece()
                        for _ in range(self.rng.choice((1, 1, 2, 4))))
        if self.rng.random() < .1:
            sets += self.rng.choice((b"\0", b"\0\0\0", bytes(12), b"\1\2"))
        if self.version == 9:
            return struct.pack(">HHIIII", 9, self.rng.choice((0, 1, 7)),
                               self.uptime % 2**32, self.secs, self.sequence,
                               self.source) + sets, 1
        length = 16 + len(sets)
        if self.rng.random() < .03:
            length += self.rng.choice((-4, -1, 1, 300))
        return struct.pack(">HHIII", 10, length % 65536, self.secs,
                           self.sequence, self.source) + sets, None

    def send(self):
        payload, units = self.datagram()
        if units is None:
            # an estimate: what gets lost is a gap, whatever the number
            units = self.rng.randrange(4)
        self.sequence = (self.sequence + units) % 2**32
        if self.rng.random() < .02:  # started anew
            self.sequence, self.uptime, self.templates = 0, 1000, {}
        if self.rng.random() < .03:
            payload = payload[:self.rng.randrange(len(payload) + 1)]
        return payload


def path(rng, payloads):
    """What arrives of it: some lost, some twice, some later than others."""
    arrives = []
    for n, p in enumerate(payloads):
        kind = rng.random()
        if kind < .04:
            continue
        arrives.append((n + (rng.randrange(4) if kind < .15 else 0), p))
        if kind > .95:
            arrives.append((n + rng.randrange(2), p))
    arrives.sort(key=lambda a: a[0])
    return [p for _, p in arrives]


def counted(rng, length):
    """Datagrams of one exporter whose sequence numbers wrap: which, how much
    it counts, and payload."""
    version = rng.choice((5, 9, 10))
    sequence = 2**32 - rng.randrange(1, 100)
    made = []
    for n in range(length):
        units = 1 if version == 9 else rng.randrange(1, 30)
        if version == 5:
            payload = struct.pack(">HHIIIIHH", 5, units, 1, 1700000000, 0,
                                  sequence, 0, 0) + bytes(48 * units)
        elif version == 9:
            payload = struct.pack(">HHIIII", 9, 0, 1, 1700000000, sequence, 0)
        else:
            payload = struct.pack(">HHIII8H", 10, 32 + units, 1700000000,
                                  sequence, 0, 2, 12, 256, 1, 4, 1, 256,
                                  4 + units) + bytes(units)
        made.append((n, units, payload))
        sequence = (sequence + units) % 2**32
    return made


def stream(rng, net, length):
    """Datagrams (time, address, port, payload) of some exporters at once."""
    exporters = []
    for host in range(1, 4):
        address = ipaddress.ip_address(
            (f"10.{net >> 8}.{net & 255}.{host}" if rng.random() < .7 else
             f"2001:db8:{net:x}::{host}"))
        version = rng.choice((9, 9, 9, 10, 10, 10, 5, 1, 7))
        for source in (0, 258)[:rng.choice((1, 2))]:
            exporters.append(Exporter(rng, address, version, source))
    queues = [(x.address, path(rng, [x.send() for _ in range(length)]))
              for x in exporters]
    time = 1700000000000000
    while queues:
        at = rng.randrange(len(queues))
        address, payloads = queues[at]
        if payloads:
            time += rng.choice((0, 1, 1000))
            yield (time, address, rng.choice((2055, 2055, 4000)),
                   payloads.pop(0))
        else:
            queues.pop(at)


# Decoding.

def each_byte(error):
    return "\ufffd", error.start + 1


codecs.register_error("each_byte", each_byte)


def clean(raw):
    """A name that is announced."""
    text = raw.split(b"\0")[0].decode("utf-8", "each_byte")
    return "".join("\ufffd" if ord(c) < 32 or 127 <= ord(c) < 160 else c
                   for c in text).rstrip(" ")


def number(raw):
    return int.from_bytes(raw, "big")


def limited(v):
    return max(-2**63, min(2**63 - 1, v))


def value_of(kind, raw):
    """The value, or None where the length does not fit the kind."""
    n = len(raw)
    if kind == U:
        return number(raw) if n <= 8 else None
    if kind == S:
        return int.from_bytes(raw, "big", signed=True)
    if kind == F:
        if n not in (4, 8):
            return None
        v, = struct.unpack(">f" if n == 4 else ">d", raw)
        return "nan" if math.isnan(v) else v
    if kind == BOOL:
        return raw == b"\1" if n == 1 else None
    if kind in (V4, V6):
        return number(raw) if n == 4 else raw if n == 16 else None
    if kind == MAC:
        return number(raw) if n == 6 else None
    if kind == TEXT:
        return raw.rstrip(b"\0").decode("utf-8", "each_byte")
    if kind in (SECS, MSECS):
        return limited(number(raw) * (10**6 if kind == SECS else 1000))
    if kind == NTP:
        secs = number(raw[:4])
        if secs:
            secs += 2**32 if secs < 2208988800 else 0
            secs -= 2208988800
        return secs * 10**6 + (number(raw[4:]) * 10**6 >> 32)
    return raw


class Source:
    """What is known of an exporter, version and source id."""

    def __init__(self):
        self.templates = {}
        self.waiting = []  # (id, time, port, clock, body)
        self.rates = {}    # ("all"|"sampler"|"input", id): rate, since
        self.names = {}    # interface: name, since
        self.init = None
        self.ledger = collections.Counter()


class Cut(Exception):
    pass


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, n):
        if n > self.left():
            self.at = len(self.data)
            raise Cut
        self.at += n
        return self.data[self.at - n:self.at]

    def uint(self, n):
        return number(self.take(n))


Clock = collections.namedtuple("Clock", "export uptime")
Seen = collections.namedtuple("Seen", "time address port version source clock "
                              "late")


class Decoder:
    """Datagrams in; records as dicts, and a ledger for each source."""

    def __init__(self, configured):
        self.configured = configured  # address: rate
        self.sources = {}
        self.rows = []

    def source(self, address, version, source):
        key = address, version, source
        known = self.sources.setdefault(key, Source())
        known.ledger["datagrams"] += 1
        return known

    def datagram(self, time, address, port, payload):
        r = Reader(payload)
        version = 0
        try:
            version = r.uint(2)
            if version not in (1, 5, 7, 9, 10):
                raise Cut
            self.header(time, address, port, version, r)
        except Cut:
            if version not in (1, 5, 7, 9, 10):
                self.source(address, 0, 0).ledger["bad_version"] += 1
            else:
                self.source(address, version, 0).ledger["bad_header"] += 1

    def header(self, time, address, port, version, r):
        count, uptime = r.uint(2), None
        if version != 10:
            uptime = r.uint(4)
        export = r.uint(4) * 10**6
        if version in (1, 5, 7):
            export += r.uint(4) // 1000
        if version != 1:
            r.uint(4)
        source, header_rate = 0, 0
        if version in (9, 10):
            source = r.uint(4)
        elif version == 5:
            source, header_rate = r.uint(2), r.uint(2) & 0x3fff
        elif version == 7:
            r.uint(4)
        x = self.source(address, version, source)
        seen = Seen(time, address, port, version, source,
                    Clock(export, uptime), False)
        if version in (9, 10):
            if version == 10:
                if count != len(r.data):
                    x.ledger["bad_length"] += 1
                r.data = r.data[:max(count, r.at)]
            self.sets(x, seen, r)
        else:
            self.fixed(x, seen, r, count, header_rate)

    def fixed(self, x, seen, r, count, header_rate):
        head = [(8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4),
                (22, 4), (21, 4), (7, 2), (11, 2)]
        tail = {1: [(210, 2), (4, 1), (5, 1), (6, 1), (210, 7)],
                5: [(210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2),
                    (9, 1), (13, 1), (210, 2)],
                7: [(210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2),
                    (9, 1), (13, 1), (210, 2), (43, 4)]}[seen.version]
        fields = [Field(0, *f) for f in head + tail]
        x.ledger["sets"] += 1
        size = sum(f.length for f in fields)
        for _ in range(min(count, r.left() // size)):
            values = [r.take(f.length) for f in fields]
            self.record(x, seen, fields, values, header_rate)
            count -= 1
        if count:
            x.ledger["sets_malformed"] += 1
            x.ledger["bad_count"] += 1
            return
        x.ledger["sets_decoded"] += 1
        if any(r.take(r.left())):
            x.ledger["bad_trailing"] += 1

    def sets(self, x, seen, r):
        self.withdrew = set()
        while r.left() >= 4:
            number_, size = r.uint(2), r.uint(2)
            if number_ == size == 0 and not any(r.data[r.at:]):
                return
            x.ledger["sets"] += 1
            if size < 4 or size - 4 > r.left():
                x.ledger["sets_malformed"] += 1
                x.ledger["bad_set"] += 1
                return
            self.one_set(x, seen, number_, r.take(size - 4))
        if any(r.data[r.at:]):
            x.ledger["bad_trailing"] += 1

    def one_set(self, x, seen, number_, body):
        templates = (0, 1) if seen.version == 9 else (2, 3)
        if number_ >= 256:
            self.data(x, seen, number_, body)
        elif number_ in templates:
            self.definitions(x, seen, number_ == templates[1], body)
        else:
            x.ledger["sets_malformed"] += 1
            x.ledger["bad_set_id"] += 1

    def definitions(self, x, seen, options, body):
        r = Reader(body)
        padding = len(body) - len(body.rstrip(b"\0"))
        good = True
        while r.left() >= 4 and r.left() > padding:
            try:
                good &= self.definition(x, seen, options, r)
            except Cut:
                good = False
        if not good:
            x.ledger["bad_template"] += 1
        x.ledger["sets_templates" if good else "sets_malformed"] += 1

    def definition(self, x, seen, options, r):
        number_, n = r.uint(2), r.uint(2)
        scopes = 0
        old = x.templates.pop(number_, None)
        if n == 0 and seen.version == 10:
            if old:
                x.templates[number_] = old
            return self.withdraw(x, options, number_)
        if options:
            scopes = r.uint(2)
            if seen.version == 9:
                if n % 4 or scopes % 4:
                    r.take(n + scopes)
                    return False
                n, scopes = (n + scopes) // 4, n // 4
        fields = []
        for i in range(n):
            f, length, enterprise = r.uint(2), r.uint(2), 0
            if seen.version == 10 and f & 0x8000:
                f, enterprise = f & 0x7fff, r.uint(4)
            if length:
                fields.append((Field(enterprise, f, length if length != 65535
                                     else -1), i < scopes))
        if not fields or number_ < 256 or scopes > n or \
                (options and scopes == 0 and seen.version == 10):
            return False
        x.templates[number_] = Template(
            number_, options, sum(s for _, s in fields), [f for f, _ in fields])
        x.ledger["options_templates" if options else "templates"] += 1
        mine = [w for w in x.waiting if w[0] == number_]
        x.waiting = [w for w in x.waiting if w[0] != number_]
        for _, then, held in mine:
            x.ledger["sets_waiting"] -= 1
            self.data(x, then._replace(late=True), number_, held)
        return True

    def withdraw(self, x, options, number_):
        everything = 3 if options else 2
        if number_ != everything and number_ < 256 or \
                number_ == everything and options in self.withdrew:
            return False
        x.ledger["templates_withdrawn"] += 1
        given_up = [w for w in x.waiting
                    if number_ in (everything, w[0])]
        x.waiting = [w for w in x.waiting if w not in given_up]
        x.ledger["sets_expired"] += len(given_up)
        x.ledger["sets_waiting"] -= len(given_up)
        if number_ == everything:
            self.withdrew.add(options)
            x.templates = {k: t for k, t in x.templates.items()
                           if t.options != options}
        else:
            x.templates.pop(number_, None)
        return True

    def data(self, x, seen, number_, body):
        t = x.templates.get(number_)
        if not t and not body:
            x.ledger["sets_expired"] += 1  # no record to wait for
            return
        if not t:
            x.waiting.append((number_, seen, body))
            x.ledger["sets_waiting"] += 1
            return
        r, n = Reader(body), 0
        least = sum(1 if f.length == -1 else f.length for f in t.fields)
        bad = False
        while r.left() >= least:
            try:
                values = [self.one_value(r, f) for f in t.fields]
            except Cut:
                bad = True
                break
            n += 1
            if t.options:
                self.learn(x, seen, t, values)
            else:
                self.record(x, seen, t.fields, values)
        if bad or n == 0 and r.left():
            x.ledger["sets_malformed"] += 1
            x.ledger["bad_record"] += 1
        else:
            x.ledger["sets_options" if t.options else "sets_decoded"] += 1

    @staticmethod
    def one_value(r, f):
        n = f.length
        if n == -1:
            n = r.uint(1)
            if n == 255:
                n = r.uint(2)
        return r.take(n)

    @staticmethod
    def meaning(fields, values, version=10, scopes=0):
        """Numbers by element, the last counts; those of scopes of v9 are
        numbered by themselves."""
        found = {}
        for i, (f, raw) in enumerate(zip(fields, values)):
            short = not f.enterprise and f.length != -1 and f.length <= 8
            if version == 9 and i < scopes:
                if f.id == 2 and short:
                    found[10] = number(raw)
            elif short:
                found[f.id] = number(raw)
        # of elements that mean the same, too
        for ids in ((34, 50, 305), (48, 302)):
            last = [f.id for i, f in enumerate(fields)
                    if f.id in ids and not f.enterprise and
                    0 < f.length <= 8 and not (version == 9 and i < scopes)]
            if last:
                found[ids] = found[last[-1]]
        return found

    @staticmethod
    def announced(m):
        """One in how many, as a record says; 0 if it does not."""
        interval = m.get((34, 50, 305), 0)
        rate = 0
        if 306 in m and 0 < interval < 2**32 and m[306] < 2**32:
            rate = (interval + m[306]) // interval
        elif interval:
            rate = interval
        elif m.get(309):
            rate = m.get(310, 0) // m[309]
        return min(rate, 2**32 - 1)

    @staticmethod
    def keep(table, key, value, seen):
        """What is older than what is known does not undo it."""
        old, since = table.get(key, (None, 0))
        older = old is not None and seen.late and seen.time < since
        if old == value:
            table[key] = value, seen.time if older else since
        elif not older:
            table[key] = value, seen.time

    def learn(self, x, seen, t, values):
        x.ledger["options"] += 1
        m = self.meaning(t.fields, values, seen.version, t.scopes)
        rate = self.announced(m)
        if rate:
            key = ("sampler", m[48, 302]) if (48, 302) in m else \
                ("input", m[10]) if 10 in m else ("all", 0)
            self.keep(x.rates, key, rate, seen)
        if m.get(160):  # 0 is a clock that was not set
            x.init = m[160]
        if 10 in m:
            for f, raw in zip(t.fields[t.scopes:], values[t.scopes:]):
                if f.id == 82 and not f.enterprise:
                    name = clean(raw)
                    if name:
                        self.keep(x.names, m[10], name, seen)
                    break

    def rate(self, x, seen, fields, values, header_rate):
        if seen.address in self.configured:
            return self.configured[seen.address], "configured"

        def held(key):
            rate, since = x.rates.get(key, (0, 0))
            return 0 if seen.late and since > seen.time else rate

        m = self.meaning(fields, values)
        rate = header_rate or self.announced(m)
        if not rate and (48, 302) in m:
            rate = held(("sampler", m[48, 302]))
        if not rate and 10 in m:
            rate = held(("input", m[10]))
        if not rate:
            samplers = [k for k in x.rates if k[0] == "sampler"]
            rate = held(("all", 0))
            if ("all", 0) not in x.rates and (48, 302) not in m and \
                    len(samplers) == 1:
                rate = held(samplers[0])
        return (rate, "announced") if rate else (1, "unknown")

    def record(self, x, seen, fields, values, header_rate=0):
        x.ledger["records"] += 1
        row = Row()
        self.addresses(row, fields, values)
        self.absolute(row, fields, values)
        for i, (f, raw) in enumerate(zip(fields, values)):
            if i not in row.done and (f.enterprise or f.id != 210):
                row.add(*named(f, raw))
        self.derive(x, row, seen, fields, values)
        self.label(x, row, seen, fields, values)
        rate, source = self.rate(x, seen, fields, values, header_rate)
        row.fields.update({
            "_time": seen.time, "exporter_port": seen.port,
            "exporter": number(seen.address.packed)
            if seen.address.version == 4 else seen.address.packed,
            "binding": "default", "version": seen.version,
            "source_id": seen.source, "sampling_rate": rate,
            "sampling_source": source})
        self.rows.append(row.fields)

    @staticmethod
    def first(fields, id_, lengths):
        for i, f in enumerate(fields):
            if f.id == id_ and not f.enterprise and f.length in lengths:
                return i
        return None

    def addresses(self, row, fields, values):
        for name, four, six in ADDRESSES:
            i, k = self.first(fields, four, (4,)), self.first(fields, six, (16,))
            if i is None or k is None:
                continue
            mapped = bytes(10) + b"\xff\xff" + values[i]
            row.add(name, values[k] if not any(values[i]) and any(values[k])
                    else mapped)
            row.add(name + "_v4", number(values[i]))
            row.add(name + "_v6", values[k])
            row.done |= {i, k}

    def absolute(self, row, fields, values):
        for id_ in (154, 152, 150, 155, 153, 151):
            i = self.first(fields, id_, (8,) if id_ > 153 else range(1, 9))
            if i is not None:
                row.add(*named(fields[i], values[i]))
                row.done.add(i)

    def derive(self, x, row, seen, fields, values):
        def get(id_, lengths):
            i = self.first(fields, id_, lengths)
            return None if i is None else number(values[i])

        init = get(160, (8,))
        uptime = seen.clock.uptime
        if seen.version == 10 and x.init:
            uptime = (seen.clock.export // 1000 - x.init) % 2**32
        for name, delta, mark in (("start_time", 158, 22),
                                  ("end_time", 159, 21)):
            if name in row.fields:
                continue
            back, ms = get(delta, (4,)), get(mark, range(1, 9))
            exact = get(mark, (4,)) if ms is not None and \
                fields[self.first(fields, mark, range(1, 9))].length == 4 \
                else None
            if back is not None:
                row.add(name, seen.clock.export - back)
            elif exact is not None and init is not None:
                row.add(name, limited(limited(init * 1000) + exact * 1000))
            elif ms is not None and uptime is not None:
                ago = (uptime - ms) % 2**32
                ago -= 2**32 if ago >= 2**31 else 0
                row.add(name, seen.clock.export - ago * 1000)
        us, ms = get(162, range(1, 9)), get(161, range(1, 9))
        if us is not None or ms is not None:
            took = us if us is not None else ms * 1000
            for have, want, sign in (("start_time", "end_time", 1),
                                     ("end_time", "start_time", -1)):
                if have in row.fields and want not in row.fields:
                    row.add(want, limited(row.fields[have] + sign * took))

    def label(self, x, row, seen, fields, values):
        for id_, name in ((10, "input_name"), (14, "output_name")):
            i = self.first(fields, id_, range(1, 9))
            if i is None or name in row.fields:
                continue
            text, since = x.names.get(number(values[i]), (None, 0))
            if text is not None and not (seen.late and since > seen.time):
                row.add(name, text)


def named(f, raw):
    name, kind, _ = KNOWN.get(f.id, (None, BYTES, None))
    if f.id == 43 and not f.enterprise:
        name, kind = "ipv4_router_sc", V4
    if f.id == 13 and not f.enterprise:
        name, kind = "dst_mask", U
    if f.enterprise == REVERSE and name:
        name = "reverse_" + name
    elif f.enterprise:
        name = None
    # of variable length, only strings and bytes are what they are called
    fits = f.length != -1 or kind in (TEXT, BYTES)
    value = value_of(kind, raw) if name and fits else None
    if value is None:
        return f"e{f.enterprise}_{f.id}", raw
    return name, value


class Row:
    def __init__(self):
        self.fields, self.done, self.times = {}, set(), {}

    def add(self, name, value):
        at = name
        while at in self.fields:
            self.times[name] = self.times.get(name, 1) + 1
            at = f"{name}_{self.times[name]}"
        self.fields[at] = value
