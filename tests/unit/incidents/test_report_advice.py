import shlex

import pytest
from typer.main import get_command

from greenlane.cli.main import app
from greenlane.incidents.report_cause import JUDGED
from greenlane.incidents.report_compose import compose
from tests.docs.test_snippets import parse
from tests.unit.incidents.cases import CASES, by_alarm, by_judge
from tests.unit.incidents.pieces import alarm_trigger


def texts(evidence):
    return [step.text for step in compose(evidence).next_steps]


@pytest.mark.parametrize("case", CASES)
def test_every_command_that_is_advised_is_one(case):
    for step in compose(CASES[case]()).next_steps:
        if step.command is not None:
            program, *arguments = shlex.split(step.command)
            assert program == "greenlane"
            parse(get_command(app), arguments)


@pytest.mark.parametrize("case", CASES)
def test_there_is_always_something_to_do_and_not_too_much(case):
    assert 1 <= len(texts(CASES[case]())) <= 7


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("error-rate", "errors"),
        ("unanswered", "hangs"),
        ("p95", "slow"),
        ("p99", "slowest"),
        ("unhealthy-hosts", "health check"),
        ("connection-errors", "refused connections"),
        ("of-their-own", "watches"),
    ],
)
def test_each_alarm_has_advice_of_its_own(kind, word):
    trigger = alarm_trigger() | {"name": f"claude-manager-green-{kind}"}
    evidence = by_alarm(record=None, logs=None)
    began = evidence.history[-3]
    detail = began.detail | {"trigger": trigger}
    history = [*evidence.history]
    history[-3] = began.model_copy(update={"detail": detail})
    found = texts(evidence.model_copy(update={"history": tuple(history)}))
    assert any(word in text for text in found)


@pytest.mark.parametrize("name", sorted(JUDGED - {"JudgedBad"}))
def test_each_failure_has_advice_of_its_own(name):
    evidence = by_judge()
    trigger = evidence.record.trigger.model_copy(update={"name": name})
    other = evidence.record.model_copy(update={"trigger": trigger})
    plain = texts(evidence.model_copy(update={"record": other, "logs": None}))
    without = texts(
        evidence.model_copy(
            update={
                "record": other.model_copy(
                    update={"trigger": trigger.model_copy(update={"name": "Unknown"})}
                ),
                "logs": None,
            }
        )
    )
    assert set(plain) - set(without)


def test_new_messages_come_first_when_there_are_any():
    assert "only the new version wrote" in texts(by_alarm())[1]
    assert not any("only the new version wrote" in text for text in texts(by_alarm(logs=None)))


def test_variables_and_configuration_that_changed_are_pointed_at():
    found = "\n".join(texts(by_alarm()))
    assert "DATABASE_PASSWORD, STRIPE_KEY" in found
    assert "configuration changed too (1 field)" in found
