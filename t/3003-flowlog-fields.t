#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# --fields: order, dropping, aliases, duration, names that never came.
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from records import *  # noqa: E402,F403

T = 1795428000000000
COLS = {
    "_time": ("time", [T, T + 1, T + 2]),
    "src_addr": ("ipv4", [ipv4("10.0.0.1"), ipv4("10.0.0.2"), None]),
    "dst_addr": ("ipv4", All(ipv4("192.0.2.1"))),
    "octet_count": ("u32", [100, 200, 300]),
    "packet_count": ("u64", All(3)),
    "start_time": ("time", [T, T, None]),
    "end_time": ("time", [T + 1500000, T, T]),
    "name": ("string", ["a", "b", "c"]),
}
B = batch(3, COLS, number=4)


def flowlog(*args, data=B):
    return run(["flowlog"] + list(args), data)


def text(*args, data=B):
    status, out, err = flowlog(*args, data=data)
    return status, out.decode("utf-8", "replace"), err


def keep():
    is_(text("--format", "csv", "--fields", "octet_count,src_addr"),
        (0, "octet_count,src_addr\n100,10.0.0.1\n200,10.0.0.2\n300,\n", ""),
        "csv keeps the order asked for")
    is_(text("--format", "tsv", "--fields", "src_addr,octet_count"),
        (0, "src_addr\toctet_count\n10.0.0.1\t100\n10.0.0.2\t200\n\t300\n",
         ""), "so does tsv")
    status, out, err = text("--format", "json", "--fields", "name,dst_addr")
    is_(out.splitlines()[0], '{"name":"a","dst_addr":"192.0.2.1"}',
        "so does json")
    is_(text("--format", "csv", "--fields", "name,name")[1],
        "name\na\nb\nc\n", "a name twice counts once")
    b = batches(flowlog("--fields", "octet_count,name")[1])[0]
    is_(b.types, {"_time": "time", "name": "string", "octet_count": "u32"},
        "a batch keeps _time too")
    is_((b.number, b.stream, b.columns["name"]), (4, 77, ["a", "b", "c"]),
        "and its number")
    maps = objects(flowlog("--fields", "name", "--format", "rows")[1])
    is_(maps, [{"_time": T + i, "name": n} for i, n in enumerate("abc")],
        "so do rows")


def drop():
    b = batches(flowlog("--fields", "-octet_count,-name")[1])[0]
    want = {n: t for n, (t, _) in COLS.items()}
    del want["octet_count"], want["name"]
    is_(b.types, want, "a list of -names drops them")
    b = batches(flowlog("--fields=-_time")[1])[0]
    ok("_time" not in b.types and len(b.types) == 7, "_time can be dropped")
    is_(flowlog("--fields=-nothing")[1], B,
        "a batch without the dropped field passes untouched")
    is_(text("--format", "csv", "--fields",
             ",".join("-" + n for n in COLS if n != "name"))[1],
        "name\na\nb\nc\n", "csv without the dropped")


def aliases():
    is_(text("--format", "csv", "--fields",
             "IN_BYTES,sourceIPv4Address,l4_dst_port"),
        (0, "octet_count,src_addr,dst_port\n100,10.0.0.1,\n"
            "200,10.0.0.2,\n300,,\n",
         "flowlog: --fields: no record had a field 'dst_port'\n"),
        "names of Cisco and IANA are accepted and shown as ours")
    is_(text("--format", "csv", "--fields", "-octetDeltaCount,-name")[1]
        .splitlines()[0],
        "_time,dst_addr,end_time,packet_count,src_addr,start_time",
        "for dropping too")


def duration():
    is_(text("--format", "csv", "--fields", "duration,name"),
        (0, "duration,name\n1.5,a\n0,b\n,c\n", ""),
        "duration is in seconds, and null where a time is")
    b = batches(flowlog("--fields", "duration,start_time")[1])[0]
    is_((b.types["duration"], b.columns["duration"]),
        ("f64", [1.5, 0, None]), "in batches as f64")
    own = batch(1, {"duration": ("u8", [9]), "start_time": ("time", [0]),
                    "end_time": ("time", [5])})
    is_(text("--format", "csv", "--fields", "duration", data=own)[1],
        "duration\n9\n", "a field of that name goes before")
    none = batch(1, {"start_time": ("time", [0]), "end_time": ("u64", [5])})
    is_(text("--format", "csv", "--fields", "duration", data=none),
        (0, "duration\n\n",
         "flowlog: --fields: no - between a number and a time: null for "
         "records like these\n"
         "flowlog: --fields: no record had a field 'duration'\n"),
        "without two times there is none")
    two = batch(4, {"source_id": ("u8", [1, 2, 1, 2]),
                    "start_time": ("time", All(1000)),
                    "end_time": ("time", [1000, 2000, 3000, 501000])})
    is_(text("--source-id", "2", "--format", "csv", "--fields", "duration",
             data=two)[1], "duration\n0.001\n0.5\n", "of selected rows")
    far = batch(1, {"start_time": ("time", [-2**63]),
                    "end_time": ("time", [2**63 - 1])})
    is_(text("--format", "csv", "--fields", "duration", data=far)[1],
        "duration\n\n", "of more than 64 bits there is none")
    ok("duration" not in text("--format", "csv")[1],
       "it is not there unless named")


def mixed():
    def header(fields):
        return text("--format", "csv", "--fields", fields)[1].split("\n")[0]
    is_(header("*_addr"), "dst_addr,src_addr", "a pattern keeps what matches")
    is_(header("octet_count,*_addr,name"),
        "octet_count,dst_addr,src_addr,name", "among others, in its place")
    is_(header("-*_addr,-*_time,-_time"), "name,octet_count,packet_count",
        "a pattern drops what matches")
    is_(header("*_addr,-src_*"), "dst_addr", "keep some, but not all of them")
    is_(header("-*,name"), "name", "drop all but one")
    is_(header("*"), "_time,dst_addr,end_time,name,octet_count,packet_count,"
        "src_addr,start_time", "* is all")
    is_(header("nothing*,name"), "name", "a pattern may match nothing")
    is_(text("--fields", "x*,name", "--format", "csv")[2],
        "flowlog: --fields: no record had a field 'x*'\n", "which is told")
    is_(header(" name , octet_count "), "name,octet_count",
        "blanks around names are no part of them")
    is_(text("--format", "csv", "--fields", "bytes,packets,name")[1]
        .splitlines()[1], "100,3,a", "bytes and packets follow from others")
    b = batches(flowlog("--fields", "*_addr")[1])[0]
    is_(sorted(b.types), ["_time", "dst_addr", "src_addr"],
        "a batch keeps _time with patterns too")


def unknown():
    status, out, err = text("--format", "json", "--fields", "name,nmae,x",
                            data=B + B)
    is_((status, err),
        (0, "flowlog: --fields: no record had a field 'nmae'\n"
            "flowlog: --fields: no record had a field 'x'\n"),
        "names that never came are told once")
    is_(json.loads(out.splitlines()[0]), {"name": "a", "nmae": None,
                                          "x": None}, "and are null")
    is_(flowlog("--fields", "x", data=b""), (0, b"", ""),
        "not if there was no record at all")
    is_(text("--fields", "_time,name", data=batch(1, {"name": ("u8", [1])}))
        [2], "flowlog: --fields: no record had a field '_time'\n",
        "_time is told of when asked for")
    is_(text("--fields", "name", data=batch(1, {"name": ("u8", [1])}))[2],
        "", "not when implied")
    late = batch(1, {"x": ("u8", [7])})
    is_(text("--format", "csv", "--fields", "name,x", data=B + late),
        (0, "name,x\na,\nb,\nc,\n,7\n", ""),
        "a field of a later shape has its column")


def usage():
    for bad in ("", ",", "-", "a,-", "x" * 64):
        status, out, err = flowlog("--fields=" + bad, data=b"")
        ok(status == 2 and "--fields" in err, "'%s' is refused" % bad, err)


keep()
drop()
aliases()
duration()
mixed()
unknown()
usage()
done()
