"""Commands of other programs in the pages, read by what they are for, without running them."""

import json
import re
import shlex
from functools import cache
from typing import Any

import jmespath  # type: ignore[import-untyped]
import pytest
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, Shape
from botocore.session import Session
from botocore.validate import ParamValidator

from greenlane.http.all_routes import ROUTES
from tests.docs.pages import ROOT, Block, blocks


def lines(text: str) -> list[list[str]]:
    """The words of each command of a block; a value may go on over line ends."""
    found, begun = [], ""
    for line in text.replace("\\\n", " ").splitlines():
        begun += line
        try:
            words = shlex.split(begun, comments=True)
        except ValueError:  # a quotation is open
            begun += "\n"
            continue
        begun = ""
        if words:
            found.append(words)
    assert not begun, "a quotation is open at the end"
    return found


def inside(text: str) -> list[str]:
    """The commands whose output a block puts in: `$(...)`."""
    return re.findall(r"\$\(((?:[^()'\"]|'[^']*'|\"[^\"]*\")+)\)", text)


OTHERS = {
    "git": {"pull", "checkout"},
    "docker": {"push"},
    "npm": {"install"},
    "openssl": {"rand"},
    "source": {".venv/bin/activate"},
}
"""Programs that are not ours, and what is asked of them."""

WITHOUT_MODEL = {("logs", "tail"), ("s3", "cp")}
"""Commands that the AWS command line has beside the operations of the services."""

COMMON = {"region", "profile", "output", "endpoint-url"}
RENAMED = {("sns", "subscribe"): {"notification-endpoint": "endpoint"}}
"""Options that the AWS command line calls otherwise: a global one has the operation's name."""


def check_command(words: list[str], block: Block) -> None:
    program, *rest = words
    if program in ("greenlane", "make"):
        return  # parsed in test_snippets.py
    if program == "aws":
        check_aws(rest)
    elif program == "npx":
        check_cdk(rest)
    elif program == "curl":
        check_curl(rest)
    elif program == "python":
        if rest[0] != "-c":
            assert f"Save this as `{rest[0]}`" in block.page.read_text()
    elif program in ("export", "unset"):
        assert all(re.fullmatch(r"(GREENLANE|AWS)_[A-Z_]+(=\S+)?", one) for one in rest)
    else:
        assert rest[0] in OTHERS[program], words


def check_curl(words: list[str]) -> None:
    """Find the route that is called, and read the body.

    They are run as they stand in tests/ofrep_clients, or sent to the handlers by
    test_over_http_sections.py.
    """
    address = next(word for word in words if word.startswith("$"))
    path = address.partition("/")[2].partition("?")[0]
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if "-d" in words else "GET"
    fitting = [
        route
        for route in ROUTES
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.written), "/" + path)
    ]
    assert method in {route.method for route in fitting}, f"there is no {method} /{path}"
    if "-d" in words:
        json.loads(words[words.index("-d") + 1])


def check_cdk(words: list[str]) -> None:
    program, command, *names = words
    assert program == "cdk"
    assert command in ("bootstrap", "deploy", "diff", "destroy")
    manifest = json.loads((ROOT / "cdk.out" / "manifest.json").read_text())
    for name in names:
        assert name == "--all" or name in manifest["artifacts"] or name.startswith("aws://"), name


@cache
def session() -> Session:
    return Session()


def check_aws(words: list[str]) -> None:
    """Read a command of the AWS command line by the model of the service."""
    options: dict[str, list[str]] = {}
    plain: list[str] = []
    into = plain
    for word in words:
        if word.startswith("--"):
            into = options.setdefault(word.removeprefix("--"), [])
        else:
            into.append(word)
    if "query" in options:
        jmespath.compile(options.pop("query")[0])
    if not plain:  # global options stood first
        (place,) = [name for name in options if len(options[name]) > 1]
        options[place], plain = options[place][:1], options[place][1:]
    service, command = plain[:2]
    if (service, command) in WITHOUT_MODEL:
        return
    try:
        model = session().get_service_model(service)
    except UnknownServiceError as error:
        raise AssertionError(f"aws has no {service}") from error
    for said, meant in RENAMED.get((service, command), {}).items():
        if said in options:
            options[meant] = options.pop(said)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert command in operations, f"aws {service} has no {command}"
    check_options(model.operation_model(operations[command]), options)


def check_options(operation: OperationModel, options: dict[str, list[str]]) -> None:
    shape = operation.input_shape
    assert shape is not None
    members = {xform_name(name, "-"): (name, member) for name, member in shape.members.items()}
    given = {}
    for option, values in options.items():
        name = option.removeprefix("no-") if option not in members else option
        if name in COMMON - members.keys():
            continue
        assert name in members, f"{operation.name} takes no --{option}"
        given[members[name][0]] = value_of(members[name][1], values, option != name)
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()


def value_of(shape: Shape, values: list[str], negated: bool) -> Any:
    """What an option gives, as the API takes it."""
    match shape.type_name:
        case "boolean":
            assert not values
            return not negated
        case "integer" | "long":
            return int(values[0])
        case "list" | "map" | "structure" if values[0][:1] in "[{":
            return json.loads(" ".join(values))
        case "list" if "=" in values[0]:
            return [dict(pair.split("=") for pair in one.split(",")) for one in values]
        case "list":
            return values
        case _:
            (one,) = values
            return one


@pytest.mark.parametrize("block", blocks("bash"), ids=lambda block: block.id)
def test_commands_of_all_programs_are_read_by_what_they_are_for(block: Block) -> None:
    text = block.text.replace("\\\n", " ")
    for command in inside(text):
        check_command(shlex.split(command), block)
        text = text.replace(f"$({command})", "VALUE")
    for words in lines(text):
        begins = next(
            (at for at, word in enumerate(words) if not re.fullmatch(r"[A-Z_]+=\S+", word)), None
        )
        if begins is not None:
            check_command(words[begins:], block)


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("-X POST $URL/v1/flag/x/disable", "no POST /v1/flag/x/disable"),
        ("$URL/v1/events -d '{}' -X PUT", "no PUT"),
        ("$URL/v1/events -d '{'", "Expecting"),
    ],
)
def test_a_wrong_call_by_curl_is_found(command: str, wrong: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=wrong):
        check_curl(shlex.split(command))


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("elbv2 describe-rule --rule-arns x", "has no describe-rule"),
        ("elb2 describe-rules", "has no elb2"),
        ("elbv2 describe-rules --rule-arn x", "takes no --rule-arn"),
        ("dynamodb delete-table", "TableName"),
        ("elbv2 modify-rule --rule-arn x --actions '[{\"Typ\": 1}]'", "Type"),
    ],
)
def test_a_wrong_command_of_aws_is_found(command: str, wrong: str) -> None:
    with pytest.raises(AssertionError, match=wrong):
        check_aws(shlex.split(command))
