#!/usr/bin/env python3
"""Runs every scenario between our program and other libraries, in both directions.

  peers.py install                    get the other libraries (cheap when they are there)
  peers.py run -- PROGRAM...          e.g. `peers.py run -- target/debug/towline-interop`

PROGRAM is called as `PROGRAM serve --listen 127.0.0.1:0` and `PROGRAM client SCENARIO... --url
URL`; README.md has the contract, which the peers keep as well. Exit codes: 0 every scenario is ok;
1 one is not; 77 skipped, something is missing here.
"""
import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import Certificates, Failed, Missing, child, main, node, python  # noqa: E402

SCENARIOS = ["echo-text", "echo-binary", "echo-empty", "echo-lengths", "fragmented-text",
             "fragmented-binary", "ping", "server-ping", "client-close", "server-close", "reject",
             "subprotocol", "no-subprotocol", "greeting", "eager-client", "concurrent", "pipelined"]
# Played on a raw socket by one peer for all, without our client.
RAW = {"eager-client": "ws"}

PEERS = {
    "ws": lambda: [node(), HERE / "peer.mjs", "ws"],
    "websocket": lambda: [node(), HERE / "peer.mjs", "websocket"],
    "websockets": lambda: [python(HERE / "requirements.txt", (3, 11)), HERE / "websockets_peer.py"],
}


# The compression settings: those that the other library requires, and ours.
TAKEOVER = "send-takeover,receive-takeover"
COMPRESSED = {
    "everything left to the peer": ({}, TAKEOVER),
    "their server_no_context_takeover": ({"server_no_context_takeover": True}, TAKEOVER),
    "their client_no_context_takeover": ({"client_no_context_takeover": True}, TAKEOVER),
    "their server_max_window_bits=9": ({"server_max_window_bits": 9}, TAKEOVER),
    "their client_max_window_bits=9": ({"client_max_window_bits": 9}, TAKEOVER),
    "our no_context_takeover, both": ({}, ""),
    "our no_context_takeover, sending": ({}, "receive-takeover"),
    "our no_context_takeover, receiving": ({}, "send-takeover"),
    "our max_window_bits=9, sending": ({}, TAKEOVER + ",send-bits=9"),
    "our max_window_bits=9, receiving": ({}, TAKEOVER + ",receive-bits=9"),
}
COMPRESSED_SCENARIOS = ["echo-text", "echo-binary", "echo-empty", "echo-lengths",
                        "fragmented-text", "fragmented-binary", "server-ping", "concurrent",
                        "pipelined"]
COMPRESSING = ["ws", "websockets"]


def play(server, client, names, timeout, compressed=None, tls=None, quiet=False):
    """Starts `server`, runs the scenarios with `client`, and returns name → "ok" or the error.

    `tls`: options of the server and of the client, which then use TLS."""
    scheme = "wss" if tls else "ws"
    serving_tls, connecting_tls = tls or ([], [])
    env = None
    if compressed is not None:
        theirs, ours = compressed
        env = dict(os.environ, TOWLINE_PEER_DEFLATE=json.dumps(theirs), TOWLINE_DEFLATE=ours)
    with child([*server, "serve", "--listen", "127.0.0.1:0", *serving_tls], env=env) as serving:
        url = f"{scheme}://{serving.address()}"
        with child([*client, "client", *names, "--url", url, *connecting_tls], env=env) as playing:
            status = playing.wait(timeout)
            outcomes = dict.fromkeys(names, "no result")
            for line in list(playing.output):
                verdict, _, rest = line.partition(" ")
                name, _, why = rest.partition(": ")
                if name in outcomes and verdict in ("ok", "FAIL"):
                    outcomes[name] = "ok" if verdict == "ok" else why or "failed"
            if not serving.running():
                outcomes[names[-1]] += f" (the server ended with {serving.wait(0)})"
            bad = any(outcome != "ok" for outcome in outcomes.values())
            if status is None or (status != 0) != bad:
                how = "did not end in time" if status is None else f"ended with {status}"
                print(f"`{playing.name}` {how}:\n{playing.tail()}")
                outcomes[names[-1]] += f" (the client {how})"
            elif bad and serving.output[1:] and not quiet:
                print(f"the server said:\n{serving.tail()}")
            return outcomes


def show(columns):
    """Prints a table of scenarios by pairing, with the errors below it."""
    heads = list(columns)
    width = max(map(len, SCENARIOS))
    print(" " * width + "  " + "  ".join(heads))
    for name in SCENARIOS:
        cells = [columns[head].get(name, "-") for head in heads]
        if set(cells) == {"-"}:
            continue
        marks = [cell if cell in ("ok", "-") else "FAILED" for cell in cells]
        print(f"{name:<{width}}  " + "  ".join(f"{m:<{len(h)}}" for m, h in zip(marks, heads)))
    for head in heads:
        for name, outcome in columns[head].items():
            if outcome != "ok":
                print(f"  {head}, {name}: {outcome}")


def run_tls(options, peers):
    """Runs both directions over TLS, with client certificates. Returns the number of failures."""
    names = [name for name in options.scenarios if name not in RAW]
    columns, trouble = {}, 0
    with tempfile.TemporaryDirectory() as directory:
        certificates = Certificates(directory)
        tls = certificates.serving(True), certificates.connecting(True)
        anonymous = certificates.serving(True), certificates.connecting()
        for peer, command in peers.items():
            pairings = {f"{peer} → towline": (options.program, command),
                        f"towline → {peer}": (command, options.program)}
            for head, (server, client) in pairings.items():
                columns[head] = play(server, client, names, options.timeout, tls=tls)
                if play(server, client, ["echo-text"], options.timeout, tls=anonymous,
                        quiet=True)["echo-text"] == "ok":
                    print(f"{head}: a client without a certificate was let in")
                    trouble += 1
    print("\nover TLS, with client certificates")
    show(columns)
    return trouble + sum(outcome != "ok" for column in columns.values()
                         for outcome in column.values())


def run_compressed(options, peers):
    """Runs both directions with each of COMPRESSED. Returns the number of failures."""
    names = [name for name in options.scenarios if name in COMPRESSED_SCENARIOS]
    peers = {peer: command for peer, command in peers.items() if peer in COMPRESSING}
    if not names or not peers:
        return 0
    width, trouble = max(map(len, COMPRESSED)), []
    heads = [head for peer in peers for head in (f"{peer} → towline", f"towline → {peer}")]
    print("\n" + "compressed".ljust(width) + "  " + "  ".join(heads))
    for variant, settings in COMPRESSED.items():
        marks = []
        for peer, command in peers.items():
            for server, client in ((options.program, command), (command, options.program)):
                outcomes = play(server, client, names, options.timeout, settings)
                bad = {name: why for name, why in outcomes.items() if why != "ok"}
                head = heads[len(marks)]
                trouble += [f"  {variant}, {head}, {name}: {why}" for name, why in bad.items()]
                marks.append(f"{'FAILED' if bad else 'ok':<{len(head)}}")
        print(variant.ljust(width) + "  " + "  ".join(marks), flush=True)
    print("".join(line + "\n" for line in trouble), end="")
    return len(trouble)


def run(options):
    peers, missing = {}, {}
    for peer in options.peers:
        try:
            peers[peer] = PEERS[peer]()
        except Missing as why:
            missing[peer] = why
    if options.action == "run":
        columns = {}
        for peer, command in peers.items():
            theirs = [name for name in options.scenarios if RAW.get(name, peer) == peer]
            ours = [name for name in options.scenarios if name not in RAW]
            pairings = {f"{peer} → towline": (options.program, command, theirs),
                        f"towline → {peer}": (command, options.program, ours)}
            for head, (server, client, names) in pairings.items():
                if names:
                    columns[head] = play(server, client, names, options.timeout)
        show(columns)
        bad = sum(outcome != "ok" for column in columns.values() for outcome in column.values())
        bad += run_tls(options, peers)
        bad += run_compressed(options, peers)
        if bad:
            raise Failed(f"{bad} scenarios")
    if missing:
        raise Missing("; ".join(f"{peer}: {why}" for peer, why in missing.items()))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["install", "run"])
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS),
                        metavar="NAME,NAME", help=f"default: {','.join(PEERS)}")
    parser.add_argument("--scenarios", type=lambda text: text.split(","), default=SCENARIOS,
                        metavar="NAME,NAME", help=f"default: {','.join(SCENARIOS)}")
    parser.add_argument("--timeout", type=int, default=120, help="seconds for each pairing")
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_args(argv[:split])
    options.program = argv[split + 1:]
    for given, known in ((options.peers, PEERS), (options.scenarios, SCENARIOS)):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if options.action == "run" and not options.program:
        parser.error("run wants a program after --")
    return options


if __name__ == "__main__":
    options = arguments()
    main("peers", lambda: run(options))
