import json

import pytest

from tests.aws_account import applied as applied
from tests.aws_account import aws as aws
from tests.aws_account import greenlane as greenlane
from tests.aws_account import live_workload as live_workload
from tests.aws_account import machines as machines
from tests.aws_account import workload as workload

DIGEST = f"sha256:{'b' * 64}"
POST = (
    *("evidence", "post", "claude-manager", "security_tests", "--status", "pass"),
    *("--digest", DIGEST, "--issuer", "ci", "--expires", "7d"),
)


@pytest.fixture
def client(applied):
    """The account behind the command, instead of the fake one."""
    return applied


def test_posting_says_what_counts_from_now_on_and_until_when(run):
    result = run(*POST, "--url", "https://ci/17")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "claude-manager: security_tests pass for sha256:bbbbbbbbbbbb, until "
    )


def test_it_is_listed(run):
    run(*POST)
    head, line = run("evidence", "list", "claude-manager").stdout.splitlines()
    assert head.split()[:4] == ["posted", "image", "name", "status"]
    assert "security_tests  pass" in line
    assert "ci" in line
    none = run("evidence", "list", "claude-manager", "--digest", f"sha256:{'c' * 64}")
    assert none.stdout == "nothing was posted yet\n"


def test_as_json_it_is_one_document(run):
    posted = json.loads(run(*POST, "-o", "json").stdout)
    assert (posted["posted_by"], posted["digest"]) == ("jo", DIGEST)
    assert json.loads(run("evidence", "list", "claude-manager", "-o", "json").stdout) == [posted]


def test_what_is_wrong_is_bad_input(run):
    result = run(*POST[:-1], "soon")
    assert result.exit_code == 2
    assert "expires: 'soon' is not accepted" in result.stderr
    assert run(*POST[:4], "--status", "good").exit_code == 2
