#!/usr/bin/env python3
"""Uses the console page of `towline serve` in a headless Chromium, and saves screenshots.

  chromium.py --url 'http://127.0.0.1:PORT/#token=…'    of a running server
  chromium.py -- COMMAND...                            start a server, which prints its address for
                                                       a browser; end it afterwards

With --program PROGRAM, the one of testing/interop, messages are also exchanged with compression, each
parameter in turn, and over TLS. With --towline PROGRAM, the one that users have, they are exchanged with
its page over HTTPS, by HTTP/2 and by HTTP/1.1, and the pages of its topics, its chat and its connections
are used.

Exit codes: 0 all works; 1 it does not; 77 skipped: no Chromium ($CHROMIUM, PATH), no Node.
"""
import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import Certificates, Failed, Missing, child, main, node  # noqa: E402

# The settings of the server, and what it must negotiate with a browser.
TAKEOVER = "send-takeover,receive-takeover"
COMPRESSED = {
    TAKEOVER: "",
    "receive-takeover": "; server_no_context_takeover",
    "send-takeover": "; client_no_context_takeover",
    "": "; server_no_context_takeover; client_no_context_takeover",
    TAKEOVER + ",send-bits=9": "; server_max_window_bits=9",
    TAKEOVER + ",receive-bits=9": "; client_max_window_bits=9",
}
NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]


def browser():
    if named := os.environ.get("CHROMIUM"):
        if found := shutil.which(named):
            return found
        raise Failed(f"CHROMIUM is {named!r}, which is not a program")
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise Missing(f"no Chromium: CHROMIUM is not set, and none of {', '.join(NAMES)} is installed")


def printed(server):
    """Returns the address for a browser, with the token of the console."""
    return server.line(r"\bopen (https?://\S+) in a browser", 60)[1]


def run(options):
    chromium, javascript = browser(), node()
    with contextlib.ExitStack() as stack:
        url = options.url
        if options.command:
            server = stack.enter_context(child(options.command))
            url = printed(server)
        test = stack.enter_context(child([javascript, HERE / "console.mjs", "--url", url,
                                          "--chromium", chromium, "--out", options.out]))
        status = test.wait(options.timeout)
        print("\n".join(test.output))
        if options.command and not server.running():
            raise Failed(f"`{server.name}` ended with {server.wait(0)}\n{server.tail()}")
        if status is None:
            raise Failed("the time given by --timeout is over")
        if status != 0:
            raise Failed(f"the console page; screenshots are in {options.out}")
    if options.program:
        run_compressed(options, chromium, javascript)
    if options.towline:
        run_secure(options, chromium, javascript)
        run_page(options, chromium, javascript, "topics", "--mode", "topics")
        run_page(options, chromium, javascript, "chat", "--mode", "chat")
        run_page(options, chromium, javascript, "server", "--compress", "--protocol", "chat.v1")


def run_compressed(options, chromium, javascript):
    with contextlib.ExitStack() as stack:
        servers = []
        for settings, answer in COMPRESSED.items():
            server = stack.enter_context(child(
                [options.program, "serve", "--listen", "127.0.0.1:0", f"--compress={settings}"]))
            servers += ["--server", f"permessage-deflate{answer}=ws://{server.address()}/"]
        certificates = Certificates(stack.enter_context(tempfile.TemporaryDirectory()))
        secure = stack.enter_context(child(
            [options.program, "serve", "--listen", "127.0.0.1:0", f"--compress={TAKEOVER}",
             *certificates.serving()]))
        servers += ["--server", f"permessage-deflate=wss://{secure.address()}/"]
        test = stack.enter_context(child([javascript, HERE / "deflate.mjs", "--chromium", chromium,
                                          "--spki", certificates.spki(), *servers]))
        status = test.wait(options.timeout)
        print("\n".join(test.output))
        if status != 0:
            raise Failed("compression in the browser")


def run_secure(options, chromium, javascript):
    with contextlib.ExitStack() as stack:
        certificates = Certificates(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(child(
            [options.towline, "serve", "--listen", "127.0.0.1:0", "--compress", "-v",
             *certificates.serving()]))
        test = stack.enter_context(child(
            [javascript, HERE / "secure.mjs", "--url", f"https://{server.address()}/",
             "--spki", certificates.spki(), "--chromium", chromium]))
        status = test.wait(options.timeout)
        print("\n".join(test.output))
        if status != 0:
            raise Failed("TLS in the browser")
        # The server's view of both.
        server.line(r"connected to / over TLS [\d.]+ and HTTP/2,", 10)
        server.line(r"connected to / over TLS [\d.]+,", 10)


def run_page(options, chromium, javascript, page, *serving):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(child(
            [options.towline, "serve", "--listen", "127.0.0.1:0", *serving]))
        test = stack.enter_context(child(
            [javascript, HERE / f"{page}.mjs", "--url", printed(server),
             "--chromium", chromium, "--out", options.out]))
        status = test.wait(options.timeout)
        print("\n".join(test.output))
        if status != 0:
            raise Failed(f"{page} in the browser; screenshots are in {options.out}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="URL of a running server")
    parser.add_argument("--out", type=Path, default=HERE.parent / "out" / "chromium",
                        help="directory for the screenshots (default: %(default)s)")
    parser.add_argument("--program", type=Path, help="the program for exchanging compressed messages")
    parser.add_argument("--towline", type=Path, help="the program for exchanging messages over HTTPS")
    parser.add_argument("--timeout", type=int, default=180, help="seconds for the whole run")
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_args(argv[:split])
    options.command = argv[split + 1:]
    if bool(options.url) == bool(options.command):
        parser.error("either --url or a command after --")
    return options


if __name__ == "__main__":
    options = arguments()
    main("chromium", lambda: run(options))
