"""Clients that openapi-generator 7.2.0 makes from our own document, in the published shape (P1 in Python, G1 in Go).

The generator is pinned with its Java in generated.lock; the Go one is built with the system's Go (scripts/go).
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aerodash_sdk import Client

from tests.clients import environments
from tests.clients.published_spec import narrowed

HERE = Path(__file__).resolve().parent


pytestmark = pytest.mark.clients


@pytest.fixture(scope="session")
def generator_python() -> Path:
    return environments.locked("generated")


@pytest.fixture(scope="session")
def generate(generator_python: Path, live_server_url: str, tmp_path_factory):
    """Makes the client of a language from the document that the live server gives out."""
    import urllib.request

    with urllib.request.urlopen(f"{live_server_url}/v1/openapi.json", timeout=30) as reply:
        document = json.load(reply)
    home = tmp_path_factory.mktemp("generated")
    spec = home / "spec.json"
    spec.write_text(json.dumps(narrowed(document, f"{live_server_url}/v1")))

    def generate(language: str) -> Path:
        made = home / language
        generator = generator_python.with_name("openapi-generator-cli")
        command = [generator, "generate", "-i", spec, "-g", language, "-o", made]
        only = "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
        options = ["--package-name", "aerostack", "--global-property", only]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return made

    return generate


def run(command: list[Any], api_key: str, **how: Any) -> dict[str, Any]:
    done = subprocess.run(
        command,
        env={**os.environ, "AERODASH_API_KEY": api_key},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **how,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_generated_python_client_runs_all_of_its_operations(
    generate, generator_python: Path, live_server_url: str, api_key: str
) -> None:
    script = HERE / "generated_script.py"
    seen = run([generator_python, script, generate("python"), live_server_url], api_key)
    assert seen.pop("expiration") > 1_700_000_000
    assert seen == {
        "agent": "OpenAPI-Generator/1.0.0/python",
        "set": True,
        "get": [True, {"name": "Zoë", "logins": 3}],
        "text": "plain",
        "miss": [False, None],
        "set many": 3,
        "get many": [["p1:m1", True], ["p1:none", False]],
        "list": ["p1:a", "p1:m0", "p1:m1", "p1:m2", "p1:text"],
        "keys": [["p1:m0", "p1:m1", "p1:m2"], False],
        "expire": True,
        "increment": 15,
        "delete": True,
        "delete many": [2, 1],
        "flush": 4,
        "enqueue": True,
        "job": [True, "queued", {"to": "jane"}, True],
        "no job": [False, None],
        "jobs": [1, False, True, True],
        "cancel": True,
        "cancelled": "cancelled",
        "refused": [401, "AUTH_INVALID_KEY"],
    }


@pytest.fixture(scope="session")
def go() -> str:
    """Go's path; scripts/go gets it where it can."""
    found = subprocess.run([environments.ROOT / "scripts/go"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def test_generated_go_client_runs_all_of_its_operations(
    generate, go: str, live_server_url: str, api_key: str, tmp_path: Path
) -> None:
    client = generate("go")
    (client / "go.mod").write_text("module aerostack.test/client\n\ngo 1.18\n")
    (client / "run").mkdir()
    shutil.copy(HERE / "generated_main.go.txt", client / "run" / "main.go")
    program = tmp_path / "run"
    offline = {
        **os.environ,
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    built = subprocess.run(
        [go, "build", "-o", program, "./run"],
        cwd=client,
        env=offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    with Client(live_server_url, api_key) as other:
        odd = other.queue.enqueue("g1-odd", [1, 2])
    seen = run([program, live_server_url, odd.job_id], api_key)
    assert seen.pop("expiration") > 1_700_000_000
    assert seen == {
        "agent": "OpenAPI-Generator/1.0.0/go",
        "set": True,
        "get": [True, {"name": "Zoë", "logins": 3}],
        "miss": [False, True],
        "set many": 3,
        "get many": [["g1:m1", True], ["g1:none", False]],
        "list": ["g1:a", "g1:m0", "g1:m1", "g1:m2"],
        "keys": [["g1:a", "g1:m0", "g1:m1", "g1:m2"], False],
        "expire": True,
        "increment": 15,
        "delete": True,
        "delete many": [2, 1],
        "flush": 3,
        "enqueue": True,
        "job": [True, "pending", {"to": "jane"}, True],
        "job without an object": [True, True],
        "no job": [False, True],
        "jobs": [1, True],
        "cancel": True,
    }
