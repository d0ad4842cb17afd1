"""`greenlane experiments`, as people and pipelines use it, on a table in memory."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.experiments.decision import decide
from tests.experiment_store import Laboratory, dealt
from tests.flag_store import memory_store, put
from tests.unit.deployments.test_document import SPEC

FILE = """
layers: {nav: {}}
ab_tests:
  checkout:
    description: Test new checkout flow
    variants: {control: 50, treatment: 50}
    metrics: [conversion_rate, click_rate]
    success_criteria: {conversion_rate: {minimum_lift: 0.05}}
    guardrail_metrics: [error_rate < 0.01]
    segments: {mobile: {device: mobile}}
    layer: {name: nav, start: 0, end: 100}
    minimum_sample_size: 10
    maximum_duration: 14d
"""


@pytest.fixture
def laboratory() -> Laboratory:
    return Laboratory()


@pytest.fixture
def client(laboratory: Laboratory) -> Any:
    """A cloud with A/B tests; the credentials are Jo's."""
    connection = SimpleNamespace(
        clock=laboratory.clock, principal="arn:jo", client=lambda name: laboratory.table
    )
    return SimpleNamespace(
        flags=memory_store(), experiments=laboratory.store, connection=connection
    )


@pytest.fixture
def file(tmp_path: Any) -> Any:
    path = tmp_path / "ab-tests.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def started(run: Any, file: Any) -> None:
    said(run("apply", "-f", str(file), "--start"))


def said(result: Any, code: int = 0) -> str:
    assert result.exit_code == code, result.output
    return str(result.stdout)


def told(result: Any) -> Any:
    return json.loads(said(result))


def fill(laboratory: Laboratory, did: dict[str, int], users: int = 100) -> None:
    """Users of each variant, so many of whom did it."""
    test = laboratory.store.test("checkout")
    for variant, count in did.items():
        for number, unit in enumerate(dealt(test, variant, users)):
            laboratory.expose(unit, context={"device": "mobile" if number % 2 else "desk"})
            laboratory.record(unit, 0, "no-error", metric="error_rate")
            if number < count:
                laboratory.record(unit)


def test_the_specifications_file_applies_as_it_stands(run: Any, laboratory: Laboratory) -> None:
    spec = str(SPEC / "ab-tests.yaml")
    first = said(run("apply", "-f", spec, "--reason", "from the spec"))
    again = said(run("apply", "-f", spec))

    assert first.splitlines()[:2] == [
        "checkout_optimization: applied, draft, version 1",
        "ui_color_scheme: applied, draft, version 1",
    ]
    assert "--start" in first.splitlines()[2]
    assert again.splitlines()[0] == "checkout_optimization: unchanged, draft, version 1"
    assert laboratory.store.audit("ui_color_scheme")[0].by == "arn:jo"
    assert "ui_color_scheme: applied, running" in said(run("apply", "-f", spec, "--start"))


def test_check_needs_no_cloud(run: Any, client: Any, file: Any) -> None:
    del client.experiments, client.flags
    assert said(run("apply", "--check", "-f", str(file))).endswith(
        "ab-tests.yaml: a correct file of 1 A/B test; nothing was applied\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--service", "x"), "leave it out"), (("--prune",), "only a file of feature flags")],
)
def test_options_of_another_kind_of_file_are_refused(
    run: Any, file: Any, options: Any, message: str
) -> None:
    result = run("apply", "-f", str(file), *options)
    assert (result.exit_code, message in result.stderr) == (2, True)


def test_a_wrong_file_is_refused_by_line(run: Any, file: Any, laboratory: Laboratory) -> None:
    file.write_text(FILE.replace("minimum_sample_size", "minimum_sampel_size"))
    result = run("apply", "-f", str(file))
    assert result.exit_code == 2
    assert "line 12: ab_tests.checkout.minimum_sampel_size" in result.stderr
    assert laboratory.store.tests() == []


def test_a_flag_and_a_test_of_one_name_are_refused(run: Any, client: Any, file: Any) -> None:
    put(client.flags, "feature_flags: {checkout: {}}")
    test = run("apply", "-f", str(file))
    made = run("experiments", "create", "checkout", "a=50", "b=50", "--metric", "click_rate")
    said(run("experiments", "create", "banner", "a=50", "b=50", "--metric", "click_rate"))
    file.write_text("feature_flags: {banner: {}}")

    assert (test.exit_code, made.exit_code) == (3, 3)
    for command in (("apply",), ("flags", "apply")):
        flag = run(*command, "-f", str(file))
        assert (flag.exit_code, "A/B test of this name" in flag.stderr) == (3, True)


def test_the_list_says_where_each_test_stands(run: Any, started: None) -> None:
    said(run("experiments", "create", "banner", "a=20", "b=80", "--metric", "click_rate"))
    lines = said(run("experiments", "list")).splitlines()

    assert lines[0].split() == ["test", "status", "since", "variants", "serves", "changed", "by"]
    assert lines[1].startswith("banner    draft    2026-11-24 12:00 UTC  a 20%, b 80%")
    assert "as dealt" in lines[2]
    assert [one["status"] for one in told(run("experiments", "list", "-o", "json"))] == [
        "draft",
        "running",
    ]


def test_without_tests_the_list_says_how_to_begin(run: Any) -> None:
    assert "greenlane apply -f FILE" in said(run("experiments", "list"))


def test_one_test_is_shown_as_it_was_written(run: Any, started: None) -> None:
    out = said(run("experiments", "get", "checkout"))

    assert out.splitlines()[0] == "checkout: running since 2026-11-24 12:00 UTC"
    assert '  description: "Test new checkout flow"' in out
    assert "  in layer nav: 100% of its users" in out
    unknown = run("experiments", "get", "chekout")
    assert (unknown.exit_code, "did you mean checkout?" in unknown.stderr) == (2, True)


def test_the_status_has_time_users_and_what_a_look_would_say(
    run: Any, started: None, laboratory: Laboratory
) -> None:
    fill(laboratory, {"control": 10, "treatment": 30})
    laboratory.clock.go(days=7)
    out = said(run("experiments", "status", "checkout"))

    assert "  time    7.0 days of 14" in out
    assert "  users   control 100, treatment 100 (each needs 10)" in out
    assert "  now     ship: treatment is better, shown at look 1" in out
    body = told(run("experiments", "status", "checkout", "-o", "json"))
    assert set(body) == {"test", "results", "last_look", "watch"}


def test_a_ramp_is_told_with_where_it_goes(run: Any, started: None, file: Any) -> None:
    file.write_text(
        "ab_tests:\n  slow:\n    variants: {a: 50, b: 50}\n    metrics: [click_rate]\n"
        "    ramp: {steps: [1, 10], interval: 12h}\n    traffic: 10\n"
    )
    said(run("apply", "-f", str(file), "--start"))

    assert "1% of the eligible, on the way to 10%" in said(run("experiments", "status", "slow"))


def test_a_test_is_started_reweighed_and_stopped(run: Any, file: Any) -> None:
    said(run("apply", "-f", str(file)))
    start = said(run("experiments", "start", "checkout", "--reason", "go"))
    change = said(run("experiments", "change", "checkout", "control=30", "treatment=70"))
    fewer = run("experiments", "change", "checkout", "--traffic", "50")
    stop = said(
        run("experiments", "stop", "checkout", "--reason", "enough", "--serve", "treatment")
    )
    again = said(run("experiments", "start", "checkout", "--again"))

    assert start == "checkout: running since 2026-11-24 12:00 UTC, version 2\n"
    assert change.endswith("version 3\n")
    assert (fewer.exit_code, "only go up" in fewer.stderr) == (3, True)
    assert stop == "checkout: ended 2026-11-24 12:00 UTC (stopped), serves treatment, version 4\n"
    assert again == "checkout: running since 2026-11-24 12:00 UTC, run 2, version 5\n"


def test_a_stop_needs_a_reason(run: Any, started: None, laboratory: Laboratory) -> None:
    assert run("experiments", "stop", "checkout").exit_code == 2
    assert run("experiments", "stop", "checkout", "--reason", " ").exit_code == 2
    assert laboratory.store.test("checkout").status == "running"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "say what"),
        (("control=30", "blue=70"), "give all of"),
        (("control=30", "treatment=71"), "add up to"),
        (("control",), "such as control=50"),
        (("control=1", "control=99"), "once"),
        (("control=x", "treatment=50"), "write percent"),
        (("--traffic", "nan"), "write percent"),
        (("--interval", "5m"), "say what"),
        (("--traffic", "100", "--interval", "5m"), "goes with --steps"),
        (("--steps", "10,5"), "more than the one before"),
        (("--steps", "10", "--interval", "soon"), "write a duration"),
    ],
    ids=str,
)
def test_what_cannot_be_changed_so_is_named(
    run: Any, started: None, options: Any, message: str
) -> None:
    result = run("experiments", "change", "checkout", *options)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_a_test_is_created_without_a_file(run: Any, laboratory: Laboratory) -> None:
    basket = "{name: basket, kind: mean, direction: higher}"
    out = said(
        run(
            *("experiments", "create", "banner", "control=60", "red=40"),
            *("--metric", basket, "--metric", "click_rate"),
            *("--guardrail", "error_rate < 0.01", "--lift", "0.02"),
            *("--duration", "7d", "--sample", "50", "--description", "A red one", "--start"),
        )
    )

    assert out == "banner: running since 2026-11-24 12:00 UTC, version 1\n"
    made = laboratory.store.test("banner").definition
    assert (made.primary_metric.name, str(made.criterion.minimum_lift)) == ("basket", "0.02")
    assert [one.name for one in made.guardrail_metrics] == ["error_rate"]
    second = run("experiments", "create", "banner", "a=50", "b=50", "--metric", "click_rate")
    assert (second.exit_code, "there is such a test" in second.stderr) == (2, True)


def test_a_created_test_that_is_wrong_names_what(run: Any, laboratory: Laboratory) -> None:
    unknown = run("experiments", "create", "x", "a=50", "b=50", "--metric", "basket")
    shares = run("experiments", "create", "x", "a=50", "b=40", "--metric", "click_rate")

    assert "its name does not say its kind" in unknown.stderr
    assert "add up to 90" in shares.stderr
    assert laboratory.store.tests() == []


def test_a_difference_is_shown_and_is_exit_code_one(run: Any, file: Any, started: None) -> None:
    assert said(run("experiments", "diff", "-f", str(file))) == "nothing would change\n"
    file.write_text(FILE.replace("control: 50, treatment: 50", "control: 20, treatment: 80"))
    out = said(run("experiments", "diff", "-f", str(file)), 1)

    assert out.splitlines()[0] == "~ checkout"
    assert '"control": 50' in out
    assert '"control": 20' in out


def test_a_holdout_alone_is_a_difference_too(run: Any, file: Any, started: None) -> None:
    file.write_text(FILE + "\nholdouts: {autumn: {percentage: 3}}\n")
    out = said(run("experiments", "diff", "-f", str(file)), 1)
    applied = said(run("apply", "-f", str(file)))

    assert out.splitlines()[0] == "~ shared parts:"
    assert 'holdouts.autumn: nothing -> {"percentage": 3}' in out
    assert "layers and holdouts: applied" in applied
    assert "layers and holdouts" not in said(run("apply", "-f", str(file)))


def test_what_is_exported_applies_as_no_change(run: Any, file: Any, started: None) -> None:
    exported = said(run("experiments", "export"))
    file.write_text(exported)

    assert "layers" in exported
    assert said(run("experiments", "diff", "-f", str(file))) == "nothing would change\n"


def test_results_have_effects_guardrails_and_what_is_left_out(
    run: Any, started: None, laboratory: Laboratory
) -> None:
    fill(laboratory, {"control": 10, "treatment": 30})
    laboratory.clock.go(days=7)
    lines = said(run("experiments", "results", "checkout")).splitlines()

    assert lines[0].endswith("(not a look that counts)")
    assert lines[1] == "ship: treatment is better, shown at look 1"
    assert lines[2].startswith("users: control 100, treatment 100 (as planned, p ")
    (effect,) = [line for line in lines if line.startswith("conversion_rate *")]
    assert "+200.00%" in effect
    assert effect.endswith("significant")
    assert any("nobody sent it" in line for line in lines)
    assert any(line.startswith("error_rate < 0.01") for line in lines)
    mobile = said(run("experiments", "results", "checkout", "--segment", "mobile"))
    assert "of segment mobile" in mobile
    assert "it decides nothing" in mobile
    wrong = run("experiments", "results", "checkout", "--segment", "mobil")
    assert "did you mean mobile?" in wrong.stderr


def test_looks_are_listed_with_what_they_said(
    run: Any, started: None, laboratory: Laboratory
) -> None:
    assert "has no look yet" in said(run("experiments", "looks", "checkout"))
    fill(laboratory, {"control": 20, "treatment": 60}, 60)
    laboratory.clock.go(days=1)
    test = laboratory.store.test("checkout")
    laboratory.store.keep_look("checkout", 1, decide(test.definition, laboratory.snapshot()))

    lines = said(run("experiments", "looks", "checkout")).splitlines()
    assert lines[0].split() == ["look", "at", "users", "verdict", "why"]
    assert lines[1].split()[:5] == ["1", "2026-11-25", "12:00", "UTC", "120"]
    assert told(run("experiments", "looks", "checkout", "-o", "json"))[0]["number"] == 1


def test_the_audit_says_who_what_and_why(run: Any, started: None) -> None:
    said(run("experiments", "change", "checkout", "control=30", "treatment=70", "--reason", "more"))
    lines = said(run("experiments", "audit", "checkout")).splitlines()

    assert lines[0] == "    2  2026-11-24 12:00:00 UTC  arn:jo: more"
    assert lines[1].strip().startswith('weights: {"control": "50"')
    assert lines[-1].strip() == "+ new"


def test_a_plan_takes_the_tests_own_criteria(run: Any, file: Any) -> None:
    out = said(run("experiments", "plan", "-f", str(file), "--rate", "0.1", "--per-day", "10000"))

    assert out.splitlines()[0] == (
        "checkout: conversion_rate from 0.1 by +5.00%, found in 80% of tests at a level of 0.05"
    )
    assert "users    control 60211, treatment 60211: 120422 in all" in out
    assert "time     14 days at 10000 users a day, within its maximum of 14" in out
    late = said(run("experiments", "plan", "-f", str(file), "--rate", "0.1", "--per-day", "1000"))
    assert "more than its maximum of 14" in late


def test_a_plan_measures_the_control_of_a_test_that_runs(
    run: Any, started: None, laboratory: Laboratory
) -> None:
    early = run("experiments", "plan", "checkout")
    fill(laboratory, {"control": 20, "treatment": 20})

    assert "too little was counted" in early.stderr
    assert "from 0.2 by +5.00%" in said(run("experiments", "plan", "checkout"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --file"),
        (("nothing", "-f", "{file}", "--rate", "0.1"), "there is no such test"),
        (("-f", "{file}"), "say what the control is like"),
        (("-f", "{file}", "--mean", "5"), "conversion_rate is a proportion: give --rate"),
        (("-f", "{file}", "--rate", "0.1", "--lift", "-1"), "above 0"),
    ],
    ids=str,
)
def test_a_plan_that_lacks_something_says_what(
    run: Any, file: Any, options: Any, message: str
) -> None:
    result = run("experiments", "plan", *(one.format(file=file) for one in options))
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
