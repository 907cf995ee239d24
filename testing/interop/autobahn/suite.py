"""Finds or installs the Autobahn WebSocket Testsuite: our installation, or Docker.

The suite is Python 2 only. We install it, unmodified, under a CPython 2.7 which is looked for in
$AUTOBAHN_PYTHON2, among pyenv's versions and on PATH. AUTOBAHN_ENGINE=native or =docker insists
on one of the two; otherwise an installation that is there is used, then Docker, then a new one.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from harness import Failed, Missing, cache_dir, child, locked, run

HERE = Path(__file__).resolve().parent
VERSION = "25.10.1"
IMAGE = f"crossbario/autobahn-testsuite:{VERSION}"
# The last virtualenv that makes environments for Python 2.7.
VIRTUALENV = "virtualenv==20.21.1"
# Twisted's setup script needs incremental before pip installs it.
BUILD_TOOLS = ["setuptools==44.0.0", "wheel==0.36.2", "incremental==16.10.1"]
# 517 cases, and the C versions of masking and UTF-8 validation, without which it is very slow.
USABLE = f"""
import sys, autobahntestsuite, autobahntestsuite.case, wsaccel.xormask, wsaccel.utf8validator
good = autobahntestsuite.version == '{VERSION}' and len(autobahntestsuite.case.Cases) == 517
sys.exit(0 if good else 1)
"""


def succeeds(command):
    try:  # not in this directory, whose autobahn.py Python 2 would take for the package
        return subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class Native:
    """The suite in a virtual environment of CPython 2.7."""

    def __init__(self, python):
        self.python = python

    def __str__(self):
        return f"autobahntestsuite {VERSION} ({self.python})"

    def fuzz(self, mode, spec, directory, listener=None):
        """A context that runs wstest; `listener` is the fuzzing server's bound socket."""
        spec_file = directory / "spec.json"
        spec_file.write_text(json.dumps(dict(spec, outdir=str(directory)), indent=1))
        environment = dict(os.environ, PYTHONWARNINGS="ignore", PYTHONUNBUFFERED="1")
        fds = ()
        if listener:
            fds = (listener.fileno(),)
            environment["TOWLINE_LISTEN_FD"] = str(listener.fileno())
        return child([self.python, HERE / "python2" / "wstest.py", "--mode", mode, "--webport", "0",
                      "--spec", spec_file], log=directory / "run.log", pass_fds=fds,
                     env=environment)


class Docker:
    """The suite in its Docker image, which PyPy runs."""

    def __str__(self):
        return f"Docker image {IMAGE}"

    def fuzz(self, mode, spec, directory, listener=None):
        """As for Native; the port of `listener` is published on the loopback address instead."""
        network = ["--network", "host"]
        if listener:
            port = listener.getsockname()[1]
            listener.close()
            network = ["--publish", f"127.0.0.1:{port}:{port}"]
            # The container sees only its own directory.
            for name in ("key", "cert"):
                if name in spec:
                    shutil.copy(spec[name], directory / name)
                    spec = dict(spec, **{name: f"/reports/{name}"})
        (directory / "spec.json").write_text(json.dumps(dict(spec, outdir="/reports"), indent=1))
        # --rm, --init: the container ends and is removed when our client process is ended.
        return child(["docker", "run", "--rm", "--init", "--name", f"towline-{uuid.uuid4().hex}",
                      "--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp", *network,
                      "--volume", f"{directory}:/reports", IMAGE, "wstest", "--mode", mode,
                      "--webport", "0", "--spec", "/reports/spec.json"],
                     log=directory / "run.log")


def installed():
    """The installation in $AUTOBAHN_HOME, or else ours; None if neither works."""
    for home in filter(None, [os.environ.get("AUTOBAHN_HOME"), cache_dir("towline-autobahn")]):
        python = Path(home) / "py27" / "bin" / "python"
        if succeeds([python, "-c", USABLE]):
            return Native(python)
    return None


def docker():
    """The Docker image, if an engine runs and has it or gets it."""
    if not sys.platform.startswith("linux") or not shutil.which("docker"):
        return None
    if not succeeds(["docker", "info"]):
        return None
    if not succeeds(["docker", "image", "inspect", IMAGE]):
        print(f"autobahn: pulling {IMAGE}", file=sys.stderr)
        if subprocess.run(["docker", "pull", "--quiet", IMAGE]).returncode != 0:
            return None
    return Docker()


def cpython27():
    pyenv = os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv"
    candidates = [os.environ.get("AUTOBAHN_PYTHON2"),
                  *sorted(glob.glob(f"{pyenv}/versions/2.7*/bin/python2.7"), reverse=True),
                  shutil.which("python2.7"), shutil.which("python2")]
    for path in filter(None, candidates):
        if succeeds([path, "-c", "import sys, ssl, zlib, ctypes\n"
                                 "sys.exit(sys.version_info[:2] != (2, 7))"]):
            return path
    return None


def install(python2):
    """Installs the suite in our cache directory."""
    home = cache_dir("towline-autobahn")
    with locked(home):
        if found := installed():  # by another run, while we waited for the lock
            return found
        print(f"autobahn: installing autobahntestsuite {VERSION} in {home}", file=sys.stderr)
        maker, target = home / "virtualenv", home / "py27"
        for old in (maker, target):
            shutil.rmtree(old, ignore_errors=True)
        run([sys.executable, "-m", "venv", maker], "virtual environment")
        run([maker / "bin" / "python", "-m", "pip", "install", "--quiet", VIRTUALENV], "virtualenv")
        run([maker / "bin" / "python", "-m", "virtualenv", "--quiet", "--python", python2, target],
            "virtual environment of Python 2.7")
        pip = [target / "bin" / "python", "-m", "pip", "install", "--quiet"]
        run([*pip, *BUILD_TOOLS], "build tools")
        run([*pip, "--no-build-isolation", "--constraint", HERE / "constraints.txt",
             f"autobahntestsuite=={VERSION}"], "autobahntestsuite")
        shutil.rmtree(maker)
        if found := installed():
            return found
    raise Failed(f"the suite was installed in {home}, but does not load: "
                 f"{home}/py27/bin/python -c 'import autobahntestsuite, wsaccel' says why")


def find():
    """Returns the engine to use, and installs it if necessary."""
    wanted = os.environ.get("AUTOBAHN_ENGINE", "")
    if wanted not in ("", "native", "docker"):
        raise Failed(f"AUTOBAHN_ENGINE is {wanted!r}; it may be native or docker")
    if wanted != "docker" and (found := installed()):
        return found
    if wanted != "native" and (found := docker()):
        return found
    if wanted != "docker" and (python2 := cpython27()):
        return install(python2)
    raise Missing("the Autobahn suite needs a CPython 2.7 (AUTOBAHN_PYTHON2=/path/to/python2.7, "
                  "or `pyenv install 2.7.18`) or a running Docker engine")
