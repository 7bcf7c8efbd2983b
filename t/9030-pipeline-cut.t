#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""A cut or corrupt stream into any filter: an error that names the stage and
the offset, exit 1, and what came before it is kept."""
import re

import pipeline
import tap


def extents(data):
    """Offsets at which the msgpack objects of DATA begin."""
    try:
        import msgpack
    except ImportError:
        raise tap.Skip("python3-msgpack is not installed")
    unpacker = msgpack.Unpacker(max_buffer_size=1 << 28, strict_map_key=False)
    unpacker.feed(data)
    starts = [0]
    while starts[-1] < len(data):
        unpacker.skip()
        starts.append(unpacker.tell())
    return starts[:-1]


def records(data):
    """Number of records in a record stream."""
    code, out, err = pipeline.stream(["flowlog", "--format", "json"], data)
    tap.equal((code, err), (0, ""), "flowlog over whole objects")
    return len(out.splitlines())


def check_error(stage, start, code, err):
    tap.equal(code, 1, f"exit of {stage} ({err.strip()})")
    line = err.strip().splitlines()[-1]
    assert line.startswith(f"{stage}: "), err
    assert re.search(rf"\b{start}\b", line), f"no offset {start} in: {line}"


def input_of(scratch, stage):
    made, _ = pipeline.datagrams(scratch, "--flows", 20000)
    if stage == "flowdecode":
        return made
    code, out, err = pipeline.stream(["flowdecode"], made)
    tap.equal((code, err), (0, ""), "flowdecode")
    return out


def kept(scratch, stage, data):
    """Runs the stage; exit, stderr and the records it passed on."""
    if stage != "flowstore":
        command = [stage] + (["--format", "batch"] if stage == "flowlog"
                             else [])
        code, out, err = pipeline.stream(command, data)
        return code, err, records(out)
    root = scratch / "tables"
    code, _, err = pipeline.stream(["flowstore", "--root", root, "cut"], data)
    rows, = pipeline.query(root, "table cut? | stats count")
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return code, err, rows["count"]


def check(scratch, stage, damage):
    """DAMAGE(data, start, end) spoils the object there."""
    data = input_of(scratch, stage)
    starts = extents(data) + [len(data)]
    for i in (0, 1, len(starts) // 2, len(starts) - 2):
        if i + 1 >= len(starts):
            continue
        _, _, wanted = kept(scratch, stage, data[:starts[i]])
        code, err, got = kept(scratch, stage,
                              damage(data, starts[i], starts[i + 1]))
        check_error(stage, starts[i], code, err)
        tap.equal(got, wanted, f"records before object {i} ({err.strip()})")


def cut(data, start, end):
    return data[:start + (end - start) // 2]


def corrupt(data, start, end):
    """0xc1 is never used in msgpack."""
    return data[:start] + b"\xc1" + data[start + 1:]


def oversized(data, start, end):
    """An array that claims 2^32 - 1 elements."""
    return data[:start] + b"\xdd\xff\xff\xff\xff" + data[start:]


def deep(data, start, end):
    return data[:start] + b"\x91" * 1000 + data[start:]


def huge(data, start, end):
    """A string of 4 GiB that never comes."""
    return data[:start] + b"\xdb\xff\xff\xff\xff" + data[start:]


def make(stage, damage, words):
    def test(scratch):
        check(scratch, stage, damage)
    test.__doc__ = f"{words} stream into {stage}"
    return test


for number, stage in enumerate(("flowdecode", "flowlog", "flowstore")):
    for damage, words in ((cut, "a cut"), (corrupt, "a corrupt"),
                          (oversized, "an array of 2^32 elements in the"),
                          (deep, "a thousand nested arrays in the"),
                          (huge, "a string of 4 GiB in the")):
        name = f"test_{number}_{damage.__name__}"
        globals()[name] = make(stage, damage, words)


def test_empty(scratch):
    """no input at all is no error"""
    for stage in (["flowdecode"], ["flowlog"],
                  ["flowstore", "--root", scratch / "tables", "none"]):
        tap.equal(pipeline.stream(stage, b""), (0, b"", ""), stage[0])


def test_wrong_stream(scratch):
    """one stage's stream into the wrong stage is refused with a clear error"""
    data = input_of(scratch, "flowlog")
    code, _, err = pipeline.stream(["flowdecode"], data)
    check_error("flowdecode", 0, code, err)
    data, _ = pipeline.datagrams(scratch, "--flows", 1000)
    for stage in (["flowlog"], ["flowstore", "--root", scratch / "t", "x"]):
        code, _, err = pipeline.stream(stage, data)
        check_error(stage[0], 0, code, err)


def test_text(scratch):
    """text on stdin is refused with a clear error"""
    for stage in (["flowdecode"], ["flowlog"],
                  ["flowstore", "--root", scratch / "tables", "none"]):
        code, _, err = pipeline.stream(stage, b"src_addr,dst_addr\n")
        check_error(stage[0], 0, code, err)


tap.main(globals())
