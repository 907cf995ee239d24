#!/usr/bin/env python3
"""Plays a client on PyPI's `h2` (hyper-h2) against `towline serve`: WebSockets over HTTP/2 (RFC 8441).

  http2.py -- PROGRAM serve --listen 127.0.0.1:0 [OPTION...]

The server must answer plain requests with a page and echo every WebSocket. Everything is played without
TLS, to a server that finds HTTP/2 by its first bytes, and over TLS, by ALPN. Then `curl` fetches the page
over HTTP/2, if it can.

Exit codes: 0 all works; 1 it does not; 77 skipped: no Python 3.10, no OpenSSL.
"""
import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import Certificates, Failed, child, main, python  # noqa: E402


def run(options):
    interpreter = python(HERE / "requirements.txt", (3, 10))
    with contextlib.ExitStack() as stack:
        certificates = Certificates(stack.enter_context(tempfile.TemporaryDirectory()))
        for scheme, serving in [("http", []), ("https", certificates.serving())]:
            server = stack.enter_context(child([*options.command, "-v", *serving]))
            url = f"{scheme}://{server.address()}/"
            client = stack.enter_context(child([interpreter, HERE / "client.py", "--url", url,
                                                "--ca", certificates.ca]))
            status = client.wait(options.timeout)
            print("\n".join(client.output))
            if status != 0:
                how = "took too long" if status is None else "failed"
                raise Failed(f"the client of {scheme} {how}\n{server.tail()}")
            # The server's view: the client's reset has its name there.
            server.line("the peer reset the HTTP/2 stream: CANCEL", 10)
            if scheme == "https":
                server.line("connected to /.* and HTTP/2", 10)
            curl(url, certificates)
            if not server.running():
                raise Failed(f"`{server.name}` ended with {server.wait(0)}\n{server.tail()}")


def curl(url, certificates):
    """Fetches the page with curl, over HTTP/2."""
    program = shutil.which("curl")
    version = [program, "--version"]
    if not program or "HTTP2" not in subprocess.run(version, capture_output=True, text=True).stdout:
        print("curl is not installed, or without HTTP/2: skipped")
        return
    command = [program, "--silent", "--show-error", "--cacert", str(certificates.ca), "--noproxy", "*",
               "--http2" if url.startswith("https") else "--http2-prior-knowledge", "--max-time", "20",
               "--output", "/dev/null", "--write-out", "%{http_code} %{http_version}", url]
    got = subprocess.run(command, capture_output=True, text=True)
    if got.stdout != "200 2":
        raise Failed(f"curl {url}: {got.stdout!r} {got.stderr}")
    print(f"ok curl {url}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", type=int, default=120, help="seconds for each of both runs")
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_args(argv[:split])
    options.command = argv[split + 1:]
    if not options.command:
        parser.error("a command after -- is needed")
    return options


if __name__ == "__main__":
    options = arguments()
    main("http2", lambda: run(options))
