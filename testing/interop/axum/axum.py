#!/usr/bin/env python3
"""Plays the clients of PyPI's `websockets` and `aiohttp` against an axum app with `towline-axum`.

  axum.py -- target/release/towline-interop

PROGRAM is called as `PROGRAM serve-axum --listen 127.0.0.1:0`, without compression and with it.

Exit codes: 0 all works; 1 it does not; 77 skipped: no Python 3.11, or its packages.
"""
import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import Failed, child, main, python  # noqa: E402


def run(options):
    interpreter = python(HERE / "requirements.txt", (3, 11))
    for compress in ([], ["--compress=send-takeover,receive-takeover"]):
        for library in ("websockets", "aiohttp"):
            play(options, interpreter, library, compress)


def play(options, interpreter, library, compress):
    with contextlib.ExitStack() as stack:
        command = [*options.command, "serve-axum", "--listen", "127.0.0.1:0", *compress]
        server = stack.enter_context(child(command))
        client = stack.enter_context(child(
            [interpreter, HERE / "client.py", library, "--address", server.address(),
             *(["--compressed"] if compress else [])]))
        # The last scenario waits for the server to shut down.
        client.line("^waiting for the shutdown$", options.timeout)
        os.kill(server.process.pid, signal.SIGTERM)
        status = client.wait(options.timeout)
        print(f"{library}{', compressed' if compress else ''}:")
        print("\n".join(client.output))
        if status != 0:
            how = "took too long" if status is None else "failed"
            raise Failed(f"the client {how}\n{server.tail()}")
        if (ended := server.wait(30)) != 0:
            raise Failed(f"the server did not end, or not well: {ended}\n{server.tail()}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", type=int, default=120, help="seconds for each of the runs")
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_args(argv[:split])
    options.command = argv[split + 1:]
    if not options.command:
        parser.error("a command after -- is needed")
    return options


if __name__ == "__main__":
    options = arguments()
    main("axum", lambda: run(options))
