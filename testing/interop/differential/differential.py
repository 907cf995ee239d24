#!/usr/bin/env python3
"""Gives the same bytes to Towline's core and to PyPI's wsproto and websockets.

  differential.py [--seed N] [--cases N] -- target/release/towline-interop judge

Exit codes: 0 all is well; 1 it is not; 77 skipped, something is missing here.
"""
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import Failed, main, python  # noqa: E402


def run():
    at = sys.argv.index("--")
    interpreter = python(HERE / "requirements.txt", (3, 11))
    command = [interpreter, HERE / "compare.py", *sys.argv[1:at], "--", *sys.argv[at + 1:]]
    compared = subprocess.run(command)
    if compared.returncode != 0:
        raise Failed("the implementations differ")


if __name__ == "__main__":
    main("differential", run)
