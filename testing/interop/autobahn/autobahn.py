#!/usr/bin/env python3
"""Runs the Autobahn WebSocket Testsuite in either role, and judges it by expected.json.

  autobahn.py install                         get the suite (cheap when it is there)
  autobahn.py server --url ws://HOST:PORT     test the server that listens there
  autobahn.py server -- COMMAND...            start a server, test it, end it; it prints the
                                              127.0.0.1:PORT it listens on
  autobahn.py client -- COMMAND...            test a client: {url} in COMMAND becomes the fuzzing
                                              server's URL

The results must be those of expected.json, case by case, behaviour and close behaviour. Exit
codes: 0 they are; 1 they are not, or the run failed; 77 skipped, the suite cannot be had here.
"""
import argparse
import contextlib
import fnmatch
import json
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import suite  # noqa: E402
from harness import Certificates, Failed, child, main  # noqa: E402

# The cases without --full. The rest of sections 12 and 13 is the same with longer messages, and takes
# half an hour.
CUT = "1,2,3,4,5,6,7,9,10,12.*.[123],13.*.[123]"
COLUMNS = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED"]


def numbers(case):
    return [int(part) for part in case.split(".")]


def select(known, patterns):
    """Returns the known cases that match: `6` is section 6, `6.4.*` part of it, `7.1.5` one case."""
    chosen = set()
    for pattern in patterns.replace(",", " ").split():
        hits = fnmatch.filter(known, pattern + ".*" if pattern.isdigit() else pattern)
        if not hits:
            raise Failed(f"no case in expected.json matches {pattern!r}")
        chosen.update(hits)
    return sorted(chosen, key=numbers)


class Part:
    """The share of the cases that one fuzzing process runs, and its directory."""

    def __init__(self, directory, cases):
        self.directory, self.cases = directory, cases
        directory.mkdir(parents=True, exist_ok=True)

    def results(self):
        """Returns case → result for every case that has run."""
        try:
            agents = json.loads((self.directory / "index.json").read_text())
        except (OSError, ValueError):
            return {}
        return {case: dict(result, report=self.directory / result["reportfile"])
                for cases in agents.values() for case, result in cases.items()}

    def log(self):
        return self.directory / "run.log"


def make_parts(out, cases, jobs):
    for old in [*out.glob("part-*"), out / "index.json"]:  # not to be taken for this run's
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    jobs = min(jobs, len(cases))
    return [Part(out / f"part-{n}" if jobs > 1 else out, cases[n::jobs]) for n in range(jobs)]


def wait_for(children, deadline, *, alive=()):
    """Waits until all of `children` have ended; those in `alive` must outlive them."""
    left = list(children)
    while left:
        ended = left[0].wait(min(0.5, deadline - time.monotonic())) is not None
        if ended:
            left.pop(0)
        for other in alive:
            if not other.running():
                raise Failed(f"`{other.name}` ended with {other.wait(0)} during the run\n"
                             + other.tail())
        if not ended and time.monotonic() >= deadline:
            raise Failed("the time given by --timeout is over")


def certificates(stack):
    """For as long as `stack` lasts."""
    return Certificates(stack.enter_context(tempfile.TemporaryDirectory()))


def test_server(engine, parts, url, command, deadline, tls):
    with contextlib.ExitStack() as stack:
        options = certificates(stack).serving() if tls else []
        server = [stack.enter_context(child([*command, *options]))] if command else []
        if command:
            url = f"{'wss' if tls else 'ws'}://{server[0].address()}"
        specs = [{"servers": [{"agent": "towline", "url": url}], "cases": part.cases}
                 for part in parts]
        fuzzers = [stack.enter_context(engine.fuzz("fuzzingclient", spec, part.directory))
                   for spec, part in zip(specs, parts)]
        wait_for(fuzzers, deadline, alive=server)
        for fuzzer, part in zip(fuzzers, parts):
            if fuzzer.wait(0) != 0:
                raise Failed(f"wstest ended with {fuzzer.wait(0)}, see {part.log()}")


def answers(port, fuzzer, part, deadline, ca):
    """Waits until the fuzzing server answers HTTP: only then is its reactor running."""
    tls = ssl.create_default_context(cafile=ca) if ca else None
    deadline = min(deadline, time.monotonic() + 60)
    while time.monotonic() < deadline and fuzzer.running():
        with contextlib.suppress(OSError), \
                socket.create_connection(("127.0.0.1", port), timeout=5) as probe, \
                tls.wrap_socket(probe, server_hostname="127.0.0.1") if tls else probe as probe:
            probe.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            if probe.recv(1):
                return
        fuzzer.wait(0.1)
    raise Failed(f"the fuzzing server does not answer, see {part.log()}")


def test_client(engine, parts, port, command, deadline, tls):
    with contextlib.ExitStack() as stack:
        fuzzers, clients = [], []
        scheme, ca, options, files = "ws", None, [], {}
        if tls:
            made = certificates(stack)
            scheme, ca, options = "wss", made.ca, made.connecting()
            files = dict(zip(("cert", "key"), map(str, made.server)))
        for part in parts:
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(64)
            listener.setblocking(False)  # Twisted adopts it as it is
            at = listener.getsockname()[1]
            url = f"{scheme}://127.0.0.1:{at}"
            fuzzer = stack.enter_context(engine.fuzz(
                "fuzzingserver", {"url": url, "cases": part.cases, **files}, part.directory, listener))
            listener.close()
            answers(at, fuzzer, part, deadline, ca)
            clients.append(stack.enter_context(child(
                [*(word.replace("{url}", url) for word in command), *options])))
            fuzzers.append(fuzzer)
        wait_for(clients, deadline)
        for client in clients:
            if client.wait(0) != 0:
                raise Failed(f"`{client.name}` ended with {client.wait(0)}\n{client.tail()}")
        wait_for(fuzzers, min(deadline, time.monotonic() + 60))  # /stopServer is part of the job


def table(cases, results, wrong):
    """Returns the counts per section."""
    rows, total = [], Counter()
    for section in sorted({numbers(case)[0] for case in cases}):
        count = Counter(cases=0)
        for case in (case for case in cases if numbers(case)[0] == section):
            count["cases"] += 1
            count["unexpected"] += case in wrong
            count[results[case]["behavior"] if case in results else "missing"] += 1
            duration = results.get(case, {}).get("duration") or 0
            count["ms"] += duration if duration < 1e9 else 0  # a case that never began: since 1970
        rows.append((section, count))
        total.update(count)
    heads = [*(c for c in COLUMNS if total[c] or c in ("OK", "FAILED")), "missing", "cases",
             "unexpected"]
    lines = ["section  " + "  ".join(heads) + "   seconds"]
    for name, count in [*rows, ("all", total)]:
        cells = "  ".join(f"{count[head]:>{len(head)}}" for head in heads)
        lines.append(f"{name:>7}  {cells}  {count['ms'] / 1000:>8.1f}")
    return "\n".join(lines)


def judge(role, engine, expected, cases, parts):
    """Prints the verdict, and returns the number of cases that are not as expected."""
    results = {case: result for part in parts for case, result in part.results().items()}
    absent = [case for case in cases if case not in results]
    wrong = dict.fromkeys(absent, "no result")
    for case in (case for case in cases if case in results):
        want = " / ".join(expected[case])
        got = " / ".join((results[case]["behavior"], results[case]["behaviorClose"]))
        if got != want:
            with contextlib.suppress(OSError, ValueError):
                detail = json.loads(results[case]["report"].read_text())
                got += f": {detail['result']} {detail['resultClose']}"
            wrong[case] = f"expected {want}, got {got}"
    print(f"autobahn: {role} under test, {engine}\n{table(cases, results, wrong)}")
    for case in (case for case in cases if case in wrong and case in results):
        print(f"  {case:<8} {wrong[case]}")
    if absent:
        print(f"  no result for {len(absent)} cases: {' '.join(absent[:20])}"
              + (" ..." if len(absent) > 20 else ""))
    return len(wrong)


def record(file, role, parts):
    """Writes the number of cases per section and outcome, next to those of the other role."""
    sections = {}
    results = {case: result for part in parts for case, result in part.results().items()}
    for case in sorted(results, key=numbers):
        outcomes = (results[case]["behavior"], results[case]["behaviorClose"])
        counts = sections.setdefault(case.split(".")[0], {})
        counts[" / ".join(outcomes)] = counts.get(" / ".join(outcomes), 0) + 1
    recorded = json.loads(file.read_text()) if file.exists() else {}
    recorded.update({"suite": f"autobahntestsuite {suite.VERSION}", role: sections})
    file.write_text(json.dumps({key: recorded[key] for key in sorted(recorded)}, indent=2) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    roles = parser.add_subparsers(dest="role", required=True)
    roles.add_parser("install")
    for role in ("server", "client"):
        sub = roles.add_parser(role)
        sub.add_argument("--cases", metavar="PATTERNS", default=CUT,
                         help=f"e.g. '6,7.1.*'; default: {CUT}")
        sub.add_argument("--full", action="store_true", help="all cases of expected.json")
        sub.add_argument("--record", type=Path, metavar="FILE",
                         help="write the counts of a full run here, if all cases are as expected")
        sub.add_argument("--tls", action="store_true",
                         help="use TLS; the command gets the TLS options of the contract")
        sub.add_argument("--out", type=Path,
                         help="directory for the reports (default: autobahn-ROLE in "
                              f"{HERE.parent / 'out'}, and autobahn-ROLE-tls)")
        sub.add_argument("--jobs", type=int, default=1, help="number of fuzzing processes")
        sub.add_argument("--timeout", type=int,
                         help="seconds for the whole run (default: 900, and 7200 with --full)")
        if role == "server":
            sub.add_argument("--url", help="URL of a running server")
        else:
            sub.add_argument("--port", type=int, default=0,
                             help="of the fuzzing server (default: any that is free)")
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    options = parser.parse_args(argv[:split])
    options.command = argv[split + 1:]
    if options.role != "install" and not options.out:
        suffix = "-tls" if options.tls else ""
        options.out = HERE.parent / "out" / f"autobahn-{options.role}{suffix}"
    if options.role == "server" and bool(options.url) == bool(options.command):
        parser.error("server wants either --url or a command after --")
    if options.role == "client" and not any("{url}" in word for word in options.command):
        parser.error("client wants a command after --, with {url} in it")
    if options.role == "client" and options.port and options.jobs > 1:
        parser.error("--port goes with one job only")
    return options


def run(options):
    if options.role == "install":
        print(suite.find())
        return
    expected = json.loads((HERE / "expected.json").read_text())[options.role]
    cases = select(expected, "*" if options.full else options.cases)
    engine = suite.find()
    timeout = options.timeout or (7200 if options.full else 900)
    deadline = time.monotonic() + timeout
    parts = make_parts(options.out.resolve(), cases, options.jobs)
    trouble = None
    try:
        if options.role == "server":
            test_server(engine, parts, options.url, options.command, deadline,
                        options.tls)
        else:
            test_client(engine, parts, options.port, options.command, deadline,
                        options.tls)
    except Failed as failed:
        trouble = failed  # what was run until then is worth seeing
    wrong = judge(options.role, engine, expected, cases, parts)
    if trouble:
        raise trouble
    if wrong:
        raise Failed(f"{wrong} of {len(cases)} cases are not as expected; the reports are in "
                     f"{options.out}")
    print(f"autobahn: all {len(cases)} cases are as expected")
    if options.full and options.record:
        record(options.record, options.role, parts)


if __name__ == "__main__":
    options = arguments()
    main(f"autobahn {options.role}", lambda: run(options))
