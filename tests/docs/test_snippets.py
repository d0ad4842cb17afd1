import ast
import importlib
import json
import re
import shlex
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, create_autospec, patch

import pytest
from typer.main import get_command

from greenlane.cli.main import app
from greenlane.deployments.client import Greenlane
from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.declaring.document import read_document
from greenlane.deployments.workload import Workload
from greenlane.experiments.document import read_experiments
from greenlane.flags.definitions.document import read_flags
from greenlane.local import images
from greenlane.local.daemon import DaemonState
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.declaring.document import read_manifest
from greenlane.people.webhook import signature
from greenlane.regions.declaring.document import read_regions
from tests.docs.monitoring import read_alertmanager, read_rules
from tests.docs.pages import PAGES, ROOT, Block, blocks, prose

GREENLANE: Any = get_command(app)


def parametrized(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks(*languages), ids=lambda block: block.id)


def commands(text: str, program: str) -> list[list[str]]:
    """The command lines of a program in a shell snippet, without what the shell itself reads."""
    lines = text.replace("\\\n", " ").splitlines()
    return [
        shlex.split(line.partition(" > ")[0], comments=True)
        for line in lines
        if re.match(rf"{re.escape(program)}( |$)", line.strip())
    ]


def parse(group: Any, arguments: list[str], parent: Any = None) -> None:
    """Parse a command line to its end with the real parser, without running anything."""
    context = group.make_context("greenlane", list(arguments), parent=parent)
    rest = [*context._protected_args, *context.args]
    _, command, rest = group.resolve_command(context, rest)
    if hasattr(command, "commands"):
        parse(command, rest, context)
    else:
        command.make_context(command.name, rest, parent=context)


@parametrized("yaml")
def test_yaml_is_a_correct_file(block: Block) -> None:
    if "feature_flags:" in block.text:
        read_flags(block.text, block.id)
        return
    readers: dict[str, Callable[[str, str], object]] = {
        "ab_tests:": read_experiments,
        "database_migrations:": read_manifest,
        "databases:": read_databases,
        "regions:": read_regions,
        "groups:": read_rules,
        "route:": read_alertmanager,
    }
    for key, reader in readers.items():
        if re.search(rf"^{key}", block.text, re.MULTILINE):
            reader(block.text, block.id)
            return
    read_document(block.text, block.id)


@parametrized("json")
def test_json_is_json(block: Block) -> None:
    document = json.loads(block.text)
    if "slots" in document:
        Workload.model_validate(document)


@parametrized("bash")
def test_greenlane_commands_parse(block: Block) -> None:
    for _, *arguments in commands(block.text, "greenlane"):
        parse(GREENLANE, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_greenlane_commands_in_the_text_name_a_real_command(page: Path) -> None:
    # A command may stand in text without all that it needs: only its words are checked.
    for quoted in re.findall(r"`greenlane ([^`]+)`", prose(page)):
        words = [word for word in quoted.split() if not word.startswith("-")]
        known: Any = GREENLANE
        while hasattr(known, "commands") and words:
            name = words.pop(0)
            assert name in known.commands, quoted
            known = known.commands[name]
        options = {name for item in getattr(known, "params", ()) for name in item.opts}
        options |= {name for item in GREENLANE.params for name in item.opts}
        given = {word for word in quoted.split() if word.startswith("-")}
        assert given <= options, quoted


@parametrized("bash")
def test_make_targets_exist(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for _, *arguments in commands(block.text, "make"):
        named = {argument for argument in arguments if "=" not in argument}
        assert named <= targets


@parametrized("bash")
def test_files_that_commands_name_exist(block: Block) -> None:
    for _, *arguments in commands(block.text, "greenlane"):
        for argument in arguments:
            if argument.startswith("examples/"):
                assert (ROOT / argument).is_file()


@parametrized("python")
def test_python_compiles_and_its_imports_resolve(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for alias in node.names:
                # A name may be a module of a package that nothing has imported yet.
                inside = f"{node.module}.{alias.name}"
                assert hasattr(module, alias.name) or find_spec(inside), alias.name


def snippet(page: str, part: str) -> str:
    (found,) = [b.text for b in blocks("python") if b.page.name == page and part in b.text]
    return found


def test_the_python_api_is_called_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    client = create_autospec(Greenlane, instance=True)
    client.wait.return_value.name = "succeeded"
    client.wait.return_value.reason = ""
    with patch.object(Greenlane, "connect", autospec=True, return_value=client):
        exec(compile(snippet("deployments.md", "Greenlane.connect"), "api", "exec"), {})

    assert capsys.readouterr().out.startswith("succeeded")
    assert client.deploy.call_args.args[0].version == "1.4.2"


def test_the_blocking_classes_are_called_as_they_are() -> None:
    client = create_autospec(Greenlane, instance=True)
    client.store = MagicMock()
    client.connection = MagicMock()
    client.store.get_config.return_value.config = ServiceConfig(name="claude-manager")
    client.wait.return_value.name = "rolled_back"
    client.store.record.return_value.candidate = "green"
    client.store.record.return_value.live = "blue"
    client.wait_for_rollback.return_value.name = "rolled_back"
    with patch.object(Greenlane, "connect", autospec=True, return_value=client):
        exec(compile(snippet("deployments.md", "execute_canary"), "api", "exec"), {})

    asked = [call.args[0] for call in client.deploy.call_args_list]
    assert [request.strategy for request in asked] == ["blue_green", "canary"]
    assert client.rollback.call_args.kwargs["reason"] == "wrong prices"


def test_a_receiver_of_webhooks_knows_what_is_ours() -> None:
    names: dict[str, Any] = {}
    exec(compile(snippet("notifications.md", "is_greenlane"), "receiver", "exec"), names)
    now = int(time.time())

    header = signature("a key of theirs and ours", b"{}", now)
    assert names["is_greenlane"](header, b"{}", "a key of theirs and ours")
    assert not names["is_greenlane"](header, b"{ }", "a key of theirs and ours")
    assert not names["is_greenlane"](header, b"{}", "another key")
    old = signature("a key of theirs and ours", b"{}", now - 600)
    assert not names["is_greenlane"](old, b"{}", "a key of theirs and ours")


def test_pushing_versions_works_as_shown() -> None:
    state = DaemonState(
        pid=1,
        endpoint_url="http://127.0.0.1:1",
        region="eu-west-1",
        origin=datetime(2026, 1, 1, tzinfo=UTC),
        time_scale=10,
        balancers={},
    )
    with (
        patch("greenlane.local.daemon.read_state", autospec=True, return_value=state),
        patch.object(images, "push_image", create_autospec(images.push_image)) as push,
    ):
        exec(compile(snippet("getting-started.md", "push_image"), "push", "exec"), {})

    assert [call.args[2] for call in push.call_args_list] == ["1.1.0", "1.2.0", "1.3.0"]
