"""The code of docs/flags-api.md, run as it stands against the API of the local cloud."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import blocks
from tests.flag_api import DeployedApi
from tests.ofrep_clients.node_packages import NODE, installed

FLAGS = next(one.text for one in blocks("yaml") if one.page.name == "flags.md")

# What a page in a browser has; by Node's own name for it nothing would be kept either.
PAGE = """
const kept = new Map();
globalThis.localStorage = {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, value),
  removeItem: (key) => kept.delete(key),
};
const flagsUrl = process.env.FLAGS_URL;
const flagsKey = process.env.FLAGS_KEY;
"""


def code(language: str, part: str) -> str:
    """The one block of the page in a language that has some text."""
    (found,) = [
        one.text for one in blocks(language) if one.page.name == "flags-api.md" and part in one.text
    ]
    return found


@pytest.fixture
def environ(api: DeployedApi) -> dict[str, str]:
    api.put(FLAGS)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "FLAGS_URL": api.url,
        "FLAGS_KEY": api.key,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": api.cloud.endpoint_url,
    }


def run(command: list[str], environ: dict[str, str], folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_key_is_found_as_shown(api: DeployedApi, environ: dict[str, str]) -> None:
    told = run([sys.executable, "-c", code("python", "get_api_keys")], environ)

    assert told == api.key


def test_the_server_provider_as_shown(environ: dict[str, str]) -> None:
    folder = installed()
    (folder / "page.mjs").write_text(code("js", "OFREPProvider"))

    assert run([str(NODE), "page.mjs"], environ, folder) == "true"


def test_the_web_provider_as_shown(environ: dict[str, str]) -> None:
    folder = installed()
    text = code("js", "OFREPWebProvider") + "process.exit(0); // it would poll on\n"
    imports = [line for line in text.splitlines() if line.startswith("import ")]
    rest = [line for line in text.splitlines() if not line.startswith("import ")]
    (folder / "web-page.mjs").write_text("\n".join([*imports, PAGE, *rest]))

    assert run([str(NODE), "web-page.mjs"], environ, folder) == "true"


def test_the_python_provider_as_shown(environ: dict[str, str]) -> None:
    assert run([sys.executable, "-c", code("python", "OFREPProvider")], environ) == "True"


def test_a_signed_change_as_shown(api: DeployedApi, environ: dict[str, str]) -> None:
    before = api.store.read().flags["new_checkout"].revision

    told = run([sys.executable, "-c", code("python", "SigV4Auth")], environ)

    after = api.store.read().flags["new_checkout"]
    assert told == f"{{'new_checkout': {after.revision}}}"
    assert after.revision > before
    assert after.flag.percentage == 30


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
def test_a_lookup_by_curl_as_shown(environ: dict[str, str]) -> None:
    told = json.loads(run(["bash", "-c", code("bash", "evaluate/flags/new_checkout")], environ))

    assert (told["value"], told["variant"], told["reason"]) == (True, "on", "SPLIT")


@needs_curl
@pytest.mark.parametrize("token", ["local", ""], ids=["of a role", "of a user"])
def test_the_kill_switch_by_curl_as_shown(
    api: DeployedApi, environ: dict[str, str], token: str
) -> None:
    environ["AWS_SESSION_TOKEN"] = token
    told = json.loads(run(["bash", "-c", code("bash", "aws-sigv4")], environ))

    assert told["keys"] == ["new_checkout"]
    assert not api.store.read().flags["new_checkout"].is_on("production")


def test_the_answer_that_is_shown_is_the_one_that_is_given(api: DeployedApi) -> None:
    shown = json.loads(code("json", "new_checkout"))
    api.put(FLAGS)
    user = {"targetingKey": "user-6", "premium": True, "region": "us-east"}

    assert api.look_up_fresh("/new_checkout", user) == shown
