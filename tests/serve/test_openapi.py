"""The service keeps to its own OpenAPI document, whatever is generated from it."""

import os
import subprocess
import sys

import pytest

from serve.server import ENVIRONMENT

pytest.importorskip("schemathesis")
pytest.importorskip("fastapi")
pytestmark = pytest.mark.slow


def test_schemathesis_finds_nothing(server, tmp_path):
    """Its own command, in a process of its own: it brings a pytest plugin and warnings along."""
    code = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
    command = [sys.executable, "-c", code, "run", f"{server.url}/openapi.json", "--max-examples", "5"]
    # What a schema cannot say (this model's tags, either of two fields) is refused all the same.
    command += ["--seed", "1", "--exclude-checks", "unsupported_method,positive_data_acceptance"]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | ENVIRONMENT,
        cwd=tmp_path,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert "Tested: 7" in result.stdout
    assert server.of("request failed") == []
