"""Compares the verdicts of Towline, wsproto and websockets about many cases.

  compare.py [--seed N] [--cases N] -- PROGRAM judge
"""
import argparse
import collections
import json
import subprocess
import sys

from cases import case
from others import websockets, wsproto_reads, wsproto_writes

# What decides for Towline where it differs from another implementation, by a name for the kind.
# Each has a test in `crates/proto/tests`, in `differences.rs` or in `deflate.rs`.
DIFFERENCES = {
    "length": "RFC 6455, section 5.2: the minimal number of bytes MUST be used to encode the length",
    "interrupted": "RFC 6455, section 5.4: control frames MAY be injected in the middle of a "
                   "fragmented message. wsproto then takes the rest of it for uncompressed",
    "final": "RFC 7692, section 7.2.3.4: a block with BFINAL set may be followed by others. Python's "
             "zlib ends there",
    "empty": "RFC 7692, section 7.2.3.6: an empty message is compressed as 00. Towline takes nothing "
             "for it too, as some peers send that; to zlib it is an incomplete message",
    "close": "RFC 6455, section 5.4: a close frame is a control frame, and may stand between the "
             "fragments of a message",
    "code": "RFC 6455, section 7.4.2: IANA has registered the close code 1014",
    "limit": "wsproto limits no message",
    "incomplete": "RFC 7692, section 7.2.2: a message with the tail is whole blocks. zlib does not "
                  "report that one is incomplete",
}


def difference(name, case, ours, theirs, deflate):
    """The kind of a known difference, or None."""
    if name == "wsproto" and case["interrupted"]:
        return "interrupted"
    if deflate is not None and deflate.has_final:
        return "final"
    if deflate is not None and deflate.is_empty:
        return "empty"
    if name == "websockets" and "NonMinimalLength" in ours["why"]:
        return "length"
    if name == "websockets" and "incomplete fragmented message" in theirs.why:
        return "close"
    if name == "wsproto" and ours["verdict"] == "closed" and ours["events"][-1][1] == 1014:
        return "code"
    if name == "wsproto" and "LimitExceeded" in ours["why"]:
        return "limit"
    if deflate is not None and deflate.is_incomplete and "NotInflatable" in ours["why"]:
        return "incomplete"
    return None


def towline(program, cases):
    lines = "".join(json.dumps(line) + "\n" for line in cases)
    judged = subprocess.run(program, input=lines, text=True, capture_output=True)
    if judged.returncode != 0:
        sys.exit(f"{program[0]} failed: {judged.stderr[-400:]}")
    return [json.loads(line) for line in judged.stdout.splitlines()]


def as_line(case, pieces):
    line = {key: case[key] for key in ["role", "limit", "extension", "threshold"]}
    return {**line, "pieces": [piece.hex() for piece in pieces],
            "send": [message.hex() for message in case["send"]]}


def expected(messages, are_binary):
    """The events of messages that were sent. Towline is given text where it is some."""
    events = []
    for message in messages:
        try:
            message.decode()
            kind = "binary" if are_binary else "text"
        except UnicodeDecodeError:
            kind = "binary"
        events.append([kind, message.hex()])
    return events


def shown(events):
    """Events, shortened to be read."""
    return ", ".join(" ".join(str(part)[:40] for part in event) for event in events)


def check(case, ours, echoed, counts):
    """Returns what is wrong with a case."""
    role, peer = case["role"], "server" if case["role"] == "client" else "client"
    first, deflate = websockets(role, case, case["pieces"])
    second = wsproto_reads(role, case, case["pieces"])
    counts[ours["verdict"]] += 1
    for name, theirs in [("websockets", first), ("wsproto", second)]:
        if (ours["events"], ours["verdict"]) == (theirs.events, theirs.verdict):
            continue
        kind = difference(name, case, ours, theirs, deflate)
        if kind is None:
            yield (f"\n    {name}: {shown(theirs.events)} {theirs.verdict} {theirs.why}"
                   f"\n    towline: {shown(ours['events'])} {ours['verdict']} {ours['why']}")
        else:
            counts[f"{name}: {kind}"] += 1
    written = [bytes.fromhex(ours["written"])]
    for name, theirs in [("websockets", websockets(peer, case, written)[0]),
                         ("wsproto", wsproto_reads(peer, case, written))]:
        if (theirs.events, theirs.verdict) != (expected(case["send"], False), "open"):
            yield f"{name} does not read what Towline writes: {theirs.verdict} {theirs.why}"
    if (echoed["events"], echoed["verdict"]) != (expected(case["send"], True), "open"):
        yield f"Towline does not read what wsproto writes: {echoed['why']}"


def run(options):
    seeds = range(options.seed, options.seed + options.cases)
    failures, counts = 0, collections.Counter()
    for at in range(0, len(seeds), 2000):
        cases = [case(seed) for seed in seeds[at:at + 2000]]
        peers = ["server" if one["role"] == "client" else "client" for one in cases]
        lines = [as_line(one, one["pieces"]) for one in cases]
        lines += [as_line(one, [wsproto_writes(peer, one, one["send"])])
                  for one, peer in zip(cases, peers, strict=True)]
        verdicts = towline(options.program, lines)
        for one, ours, echoed in zip(cases, verdicts, verdicts[len(cases):], strict=False):
            for failure in check(one, ours, echoed, counts):
                failures += 1
                if failures <= 20:
                    print(f"case {one['seed']} ({one['role']}, {one['extension']}): {failure}")
    for kind, count in sorted(counts.items()):
        print(f"{count:7} {kind}")
    print(f"{len(seeds)} cases, {failures} unexplained differences")
    return failures == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("program", nargs="+")
    sys.exit(0 if run(parser.parse_args()) else 1)
