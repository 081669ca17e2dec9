"""Run a command: in this process, which is quick, or in one of its own, as users do."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from chaincrf.cli import main

SMALL = [
    "--vectors",
    "none",
    "--word-dim",
    "16",
    "--hidden",
    "16",
    "--epochs",
    "12",
    "--batch-size",
    "4",
    "--dropout",
    "0.1",
    "--learning-rate",
    "0.02",
    "--device",
    "cpu",
]
"""Options that learn the toy corpus in a second."""

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "TERM": "dumb", "PYTHONFAULTHANDLER": "1"}
UNIMPORTABLE = str(Path(__file__).parents[1] / "absent")
LIGHT = {"PYTHONPATH": os.pathsep.join(filter(None, [UNIMPORTABLE, os.environ.get("PYTHONPATH")]))}
"""An environment in which torchmetrics cannot be imported, as in a plain installation; Fabric would."""


def run(*arguments, status=0, stdin="", cwd="."):
    """What a command says on standard output and standard error, run in this process."""
    streams = {"stdin": _stream(stdin), "stdout": _stream(), "stderr": _stream()}
    found = 0
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, Path.cwd())
        os.chdir(cwd)
        stack.enter_context(patch.dict(os.environ, ENVIRONMENT))
        for name, value in {**streams, "argv": ["chaincrf", *map(str, arguments)]}.items():
            stack.enter_context(patch.object(sys, name, value))
        try:
            main()
        except SystemExit as end:
            found = end.code
    return _checked(found, status, *(_content(streams[name]) for name in ("stdout", "stderr")))


def start(*arguments, **options):
    """A process that runs a command."""
    command = [
        sys.executable,
        "-W",
        "error::DeprecationWarning:chaincrf",
        "-m",
        "chaincrf",
        *map(str, arguments),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | ENVIRONMENT | LIGHT
    return subprocess.Popen(command, text=True, encoding="utf-8", env=environment, **(pipes | options))


def run_process(*arguments, status=0, stdin="", **options):
    """What a command says, run in a process of its own."""
    with start(*arguments, **options) as process:
        try:
            out, err = process.communicate(stdin, timeout=300)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # it says where it stands
            out, err = process.communicate()
    return _checked(process.returncode, status, out, err)


def _stream(text=""):
    return io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogateescape")), encoding="utf-8")


def _content(stream):
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8")


def _checked(found, status, out, err):
    assert found == status, err
    assert "Traceback" not in err
    for output in (out, err):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", output), "control characters without a terminal"
    return out, err
