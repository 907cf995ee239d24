"""What the interop suites share: child processes that always end, and what they need installed.

Exit codes of every suite: 0 all well, 1 something failed, 77 skipped because the machine lacks
something. What is lacking is a failure where CI=true.
"""
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OK, FAILED, SKIPPED = 0, 1, 77


class Missing(Exception):
    """The machine lacks something that the suite needs."""


class Failed(Exception):
    """The suite could not be run to its end, or its verdict is bad."""


def main(suite, run):
    """Runs `run()`, and turns its outcome into an exit code and one line."""
    sys.stdout.reconfigure(line_buffering=True)  # in order with stderr, where both go to one log
    # A plain SIGTERM would skip the `finally` blocks that end our children.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(run() or OK)
    except Missing as missing:
        if os.environ.get("CI") == "true":
            sys.exit(f"{suite}: FAILED: {missing} (nothing is skipped where CI=true)")
        print(f"{suite}: skipped: {missing}", file=sys.stderr)
        sys.exit(SKIPPED)
    except Failed as failed:
        sys.exit(f"{suite}: FAILED: {failed}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def cache_dir(name):
    """Returns our directory in the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / name


@contextlib.contextmanager
def locked(directory):
    """Makes `directory`, and locks it against installations by other runs."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def undisturbed():
    """Delays Ctrl-C and SIGTERM, so that cleaning up is not interrupted."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


class Child:
    """A child process in a separate process group, so that its own children end with it."""

    def __init__(self, command, log=None, **options):
        """`log`: a file for its output; with None, `line` reads the output."""
        self.name = " ".join(map(str, command))
        self.lines, self.output = None, []
        out = subprocess.PIPE if log is None else open(log, "w")  # noqa: SIM115
        try:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True, **options)
        except OSError as error:
            raise Failed(f"cannot start `{self.name}`: {error.strerror}") from None
        finally:
            if log is not None:
                out.close()
        if log is None:
            self.lines = threading.Condition()
            self.reader = threading.Thread(target=self._read, daemon=True)
            self.reader.start()

    def _read(self):
        for raw in self.process.stdout:
            with self.lines:
                self.output.append(raw.decode(errors="replace").rstrip("\r\n"))
                self.lines.notify_all()
        with self.lines:
            self.lines.notify_all()

    def line(self, pattern, timeout):
        """Waits for an output line that matches, and returns the match."""
        deadline, seen = time.monotonic() + timeout, 0
        with self.lines:
            while True:
                for text in self.output[seen:]:
                    if match := re.search(pattern, text):
                        return match
                seen = len(self.output)
                left = deadline - time.monotonic()
                if not self.reader.is_alive() or left <= 0:
                    why = "said nothing of the kind in time" if left <= 0 else "ended"
                    raise Failed(f"`{self.name}` {why}; expected /{pattern}/ in its output:\n"
                                 + self.tail())
                self.lines.wait(min(left, 0.2))

    def address(self, timeout=60):
        """Returns the address of a server: the first loopback address that it prints."""
        return self.line(r"\b((?:127\.0\.0\.1|localhost):\d+)", timeout)[1]

    def tail(self, count=20):
        return "\n".join("    | " + text for text in self.output[-count:])

    def wait(self, timeout):
        """Returns the exit status, or None if it takes longer."""
        try:
            status = self.process.wait(max(0, timeout))
        except subprocess.TimeoutExpired:
            return None
        if self.lines:
            self.reader.join(5)
        return status

    def running(self):
        return self.process.poll() is None

    def end(self):
        """Ends the process and its children: by SIGTERM, then by SIGKILL."""
        with undisturbed(), contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGTERM)
            self.wait(5)
            os.killpg(self.process.pid, signal.SIGKILL)  # it, or a grandchild that stayed behind
            self.wait(5)


@contextlib.contextmanager
def child(command, **options):
    """A child process for a `with` block, at whose end it is always ended."""
    process = Child(command, **options)
    try:
        yield process
    finally:
        process.end()


def run(command, what, timeout=900, **options):
    """Runs an installation step; its output is shown only if it fails."""
    with child(command, **options) as step:
        status = step.wait(timeout)
        if status != 0:
            how = "timed out" if status is None else f"ended with {status}"
            raise Failed(f"{what}: `{step.name}` {how}\n{step.tail()}")


class Certificates:
    """A root, and the certificates for loopback that it has signed: a server's and a client's."""

    def __init__(self, directory):
        """Makes them as files in `directory`, with OpenSSL."""
        self.openssl, self.directory = shutil.which("openssl"), Path(directory)
        if not self.openssl:
            raise Missing("openssl is not installed")
        self.ca = self._make("root", "/CN=root", "-addext", "keyUsage=critical,keyCertSign")
        self.server, self.client = self._sign("server"), self._sign("client")

    def serving(self, client_certificates=False):
        """The options of the contract for a server."""
        certificate, key = self.server
        options = ["--tls-cert", certificate, "--tls-key", key]
        return [*options, "--tls-client-ca", self.ca] if client_certificates else options

    def connecting(self, client_certificates=False):
        """The options of the contract for a client."""
        certificate, key = self.client
        options = ["--cert", certificate, "--key", key] if client_certificates else []
        return ["--ca", self.ca, *options]

    def _make(self, name, subject, *options):
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        run([self.openssl, "req", "-x509", "-sha256", "-nodes", "-days", "30", "-newkey", "rsa:2048",
             "-subj", subject, "-out", certificate, "-keyout", key, *options], "certificate")
        return certificate

    def _sign(self, name):
        root, request = self.directory / "root", self.directory / f"{name}.request"
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        run([self.openssl, "req", "-new", "-sha256", "-nodes", "-newkey", "rsa:2048", "-subj",
             f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", request,
             "-keyout", key], "request for a certificate")
        run([self.openssl, "x509", "-req", "-sha256", "-days", "30", "-copy_extensions", "copy",
             "-CA", f"{root}.pem", "-CAkey", f"{root}.key", "-in", request, "-out", certificate],
            "certificate")
        return certificate, key

    def spki(self):
        """Returns the hash of the server's public key as base64, for a browser to trust."""
        script = ('"$1" x509 -in "$2" -noout -pubkey | "$1" pkey -pubin -outform DER | '
                  '"$1" dgst -sha256 -binary | "$1" base64')
        command = ["sh", "-c", script, "sh", self.openssl, str(self.server[0])]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def node():
    """Returns the path of Node, and installs the npm packages of package-lock.json in this directory."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Missing("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 20:
        raise Missing(f"node 20 or later is needed, {node} is {version}")
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = HERE / "node_modules" / ".installed-from"
    with locked(cache_dir("towline-interop")):
        if not stamp.exists() or stamp.read_text() != wanted:
            print("installing the npm packages of testing/interop/package-lock.json",
                  file=sys.stderr)
            run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], "npm packages",
                cwd=HERE)
            stamp.write_text(wanted)
    return node


def python(requirements, at_least):
    """Returns the Python of a virtual environment that has exactly `requirements`."""
    names = [sys.executable, *(f"python3.{minor}" for minor in range(30, at_least[1] - 1, -1))]
    for base in filter(None, map(shutil.which, names)):
        probe = subprocess.run([base, "-c", "import sys; print(*sys.version_info[:2])"],
                               capture_output=True, text=True)
        if probe.returncode == 0 and tuple(map(int, probe.stdout.split())) >= at_least:
            break
    else:
        raise Missing(f"Python {at_least[0]}.{at_least[1]} or later is not installed")
    key = hashlib.sha256(requirements.read_bytes() + probe.stdout.encode()).hexdigest()[:16]
    home = cache_dir("towline-interop")
    venv = home / f"python-{key}"
    interpreter = venv / "bin" / "python"
    with locked(home):
        if not (venv / "installed").exists() or not interpreter.exists():
            print(f"installing {requirements.name} in {venv}", file=sys.stderr)
            shutil.rmtree(venv, ignore_errors=True)
            run([base, "-m", "venv", venv], "virtual environment")
            run([interpreter, "-m", "pip", "install", "--quiet", "--requirement", requirements],
                "Python packages")
            (venv / "installed").touch()
    return interpreter
