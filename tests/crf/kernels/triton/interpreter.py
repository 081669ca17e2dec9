"""The checks in Triton's interpreter, in a process of their own: it must be chosen before Triton is imported.

A request is a line of JSON, [name, arguments]; the answer too: what was raised, or null.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any


class Interpreter:
    """The process, as seen from the tests."""

    def __init__(self) -> None:
        tests = Path(__file__).parents[3]
        paths = [str(tests), *filter(None, sys.path)]
        environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(paths)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crf.kernels.triton.interpreter"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Run a check; what it raises fails the test that asked."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments, options]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"raised": "the process is gone"}')
        assert "raised" not in answer, answer["raised"]
        return answer["returned"]

    def close(self) -> None:
        self._process.communicate()


def quicken() -> None:
    """A function of ours that a kernel calls finds the language interpreted: not once more for each call."""
    from triton.runtime.interpreter import InterpretedFunction

    usual = InterpretedFunction.__call__

    def call(self: Any, *given: Any, **named: Any) -> Any:
        ours = self.fn.__module__.startswith("chaincrf.")
        return self.rewrite()(*given, **named) if ours else usual(self, *given, **named)

    InterpretedFunction.__call__ = call


def serve() -> None:
    """Answer requests until there are no more."""
    import torch

    from . import checks

    quicken()
    torch.use_deterministic_algorithms(True)  # which fills fresh memory with NaN
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    for line in sys.stdin:
        name, arguments, options = json.loads(line)
        try:
            answer = {"returned": getattr(checks, name)(*arguments, **options)}
        except Exception:
            answer = {"raised": traceback.format_exc()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
