"""The report of a test: what it says, the same each time, and a page that anybody can read."""

import json
import re
from datetime import timedelta

import pytest

from greenlane.errors import Refused
from greenlane.experiments.report.compose import compose
from greenlane.experiments.report.keeping import (
    read_experiment_report,
    render_json,
    report_key,
    write_experiment_report,
)
from greenlane.experiments.report.model import Report
from greenlane.experiments.report.page import render_html
from greenlane.experiments.report.text import render_text
from greenlane.experiments.report.words import as_percent, chance, measured, plain
from greenlane.experiments.running.watching import watch
from tests.experiment_town import ACCOUNT, BUCKET, Bucket
from tests.unit.experiments.reported import AFRESH, CASES, Story, checkout, stored
from tests.unit.incidents.test_report_html import EVIL, Page

OUTCOMES = {
    "shipped": "ship",
    "harmful": "rollback",
    "uneven": "invalid",
    "useless": "futile",
    "undecided": "inconclusive",
    "running": "running",
    "reweighed": "stopped",
    "unseen": "running",
    "lower_is_better": "ship",
    "silent": "inconclusive",
}


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {name: compose(*case()) for name, case in CASES.items()}


@pytest.fixture(params=CASES)
def report(request: pytest.FixtureRequest, reports: dict[str, Report]) -> Report:
    return reports[request.param]


def test_each_end_is_called_by_its_name(reports: dict[str, Report]) -> None:
    assert {name: one.outcome for name, one in reports.items()} == OUTCOMES


def test_the_same_looks_give_the_same_bytes() -> None:
    for name in ("shipped", "reweighed"):
        first, second = compose(*CASES[name]()), compose(*AFRESH[name]())
        assert render_json(first) == render_json(second)
        assert render_html(first) == render_html(second)


def test_json_is_read_back_as_the_same_report_and_page(report: Report) -> None:
    again = Report.model_validate_json(render_json(report))
    assert again == report
    assert render_html(again) == render_html(report)


def test_a_test_that_never_ran_has_no_report() -> None:
    story = Story(checkout(), {})
    draft = stored(story, []).model_copy(update={"started_at": None, "status": "draft"})
    with pytest.raises(Refused, match="greenlane experiments start checkout_optimization"):
        compose(draft, [])


def test_the_first_screen_says_what_came_of_it_before_anything_else(
    reports: dict[str, Report],
) -> None:
    text = render_html(reports["shipped"])
    first = text[: text.index("<h2")]
    for said in (
        "checkout_optimization: treatment wins",
        "Treatment is better, shown at look",
        "Without the luck of having ended just then",
        "Lift of conversion rate",
        "shown not to be chance",
        "What to do next",
    ):
        assert said in first


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("harmful", "treatment breaks error_rate &lt; 0.01: "),
        ("harmful", "stopped: harm"),
        ("uneven", "not as planned"),
        ("useless", "no treatment can be as much better as is asked"),
        ("undecided", "not shown to be more than chance"),
        ("running", "As a watch at 2026-03-08 09:36 saw them."),
        ("reweighed", "was stopped by ada"),
        ("reweighed", "weights changed 1 times"),
        ("unseen", "No look was taken yet."),
        ("silent", "nobody sent it"),
        ("lower_is_better", "asked: -5 %"),
        ("shipped", "Exploratory: it says where to look next"),
    ],
)
def test_a_page_says_what_its_reader_has_to_know(
    reports: dict[str, Report], case: str, said: str
) -> None:
    assert said in render_html(reports[case])


def test_every_number_of_a_chart_is_in_a_table(reports: dict[str, Report]) -> None:
    report, page = reports["shipped"], Page(render_html(reports["shipped"]))
    cells = {one["text"] for one in page.all("td")}
    for look in report.looks:
        told = look.treatments["treatment"]
        assert f"{told.effect.statistic:.3f}" in cells
        assert as_percent(100 * (told.effect.lift or 0)) in cells
        assert f"{sum(look.users.values()):,}" in cells


def test_segments_are_corrected_for_all_of_them(reports: dict[str, Report]) -> None:
    lines = reports["shipped"].segments
    assert [line.segment for line in lines] == ["desktop", "mobile"]
    levels = {line.effect.level for line in lines}
    assert {round(level, 9) for level in levels if level is not None} <= {0.05, 0.025}
    assert min(level for level in levels if level is not None) == pytest.approx(0.025)


def test_pages_are_well_formed_and_ask_nothing_of_the_network(report: Report) -> None:
    page = Page(render_html(report))
    assert (page.problems, page.open) == ([], [])
    for element in page.elements:
        assert element["tag"] not in ("script", "img", "link", "iframe", "object", "use", "a")
        assert not {"src", "href", "xlink:href", "srcset", "style"} & set(element["attrs"])
        assert not [name for name in element["attrs"] if name.startswith("on")]
    (style,) = page.all("style")
    assert "url(" not in style["text"]
    assert "@import" not in style["text"]
    ids = [element["attrs"]["id"] for element in page.elements if "id" in element["attrs"]]
    assert len(ids) == len(set(ids))
    for chart in page.all("svg"):
        if chart["attrs"].get("role") == "img":
            title, description = chart["attrs"]["aria-labelledby"].split()
            assert {title, description} <= set(ids)
        else:
            assert chart["attrs"]["aria-hidden"] == "true"
    for head in page.all("th"):
        assert head["attrs"]["scope"] == "col"


def test_what_people_wrote_is_text_wherever_it_stands() -> None:
    test, looks, watch, read = CASES["shipped"]()
    definition = test.definition.model_copy(update={"description": EVIL})
    evil = test.model_copy(update={"definition": definition, "reason": EVIL, "ended_by": EVIL})
    page = Page(render_html(compose(evil, looks, watch, read)))
    assert page.all("script") == page.all("img") == []
    assert (page.problems, page.open) == ([], [])


def test_lines_of_variants_differ_in_more_than_colour(reports: dict[str, Report]) -> None:
    text = render_html(reports["undecided"])
    for mark in ('<circle class="mark v0"', '<rect class="mark v1"', '<polygon class="mark v2"'):
        assert mark in text


def test_no_place_of_a_chart_is_outside_of_it(report: Report) -> None:
    for points in re.findall(r' points="([^"]+)"', render_html(report)):
        for point in points.split():
            x, y = (float(part) for part in point.split(","))
            assert -4 <= x <= 484
            assert -4 <= y <= 254


def test_what_came_after_the_last_look_is_noted(reports: dict[str, Report]) -> None:
    said = "what came after the last look is in no number of this report"
    assert said in reports["shipped"].notes
    assert said not in reports["running"].notes


def test_a_terminal_gets_the_first_screen_as_lines(reports: dict[str, Report]) -> None:
    text = render_text(reports["harmful"])
    assert text.startswith("checkout_optimization: stopped, because a treatment does harm\n")
    assert "next: Begin again, with users who are dealt anew. greenlane experiments start" in text


def test_a_report_is_written_where_anybody_can_compute_and_read_again(
    reports: dict[str, Report],
) -> None:
    bucket, report = Bucket(), reports["shipped"]
    for _ in range(2):
        write_experiment_report(bucket, BUCKET, ACCOUNT, report)
    assert list(bucket.objects) == [
        "experiments/checkout_optimization/1/report.html",
        "experiments/checkout_optimization/1/report.json",
    ]
    assert len({tuple(texts) for texts in bucket.objects.values()}) == 2
    found = read_experiment_report(bucket, BUCKET, ACCOUNT, report.name, 1)
    assert found == report
    assert read_experiment_report(bucket, BUCKET, ACCOUNT, report.name, 2) is None
    assert json.loads(bucket.objects[report_key(report.name, 1, "json")][0])["outcome"] == "ship"


def test_a_watch_after_the_last_look_says_how_the_guardrails_are(
    reports: dict[str, Report],
) -> None:
    test, looks, watch, _ = CASES["running"]()
    assert watch is not None
    assert reports["running"].watched_at == watch.at
    early = watch.model_copy(update={"at": looks[-1].snapshot.at - timedelta(hours=1)})
    assert compose(test, looks, early).watched_at is None


def test_a_watch_that_was_on_its_way_at_the_end_changes_no_report() -> None:
    test, looks, _, read = CASES["shipped"]()
    before = compose(test, looks, None, read)
    late = watch(test.definition, looks[-1].snapshot)
    assert test.ended_at is not None
    for at in (looks[-1].snapshot.at + timedelta(seconds=1), test.ended_at + timedelta(seconds=1)):
        assert compose(test, looks, late.model_copy(update={"at": at}), read) == before
    stopped, some, _, _ = CASES["reweighed"]()
    assert stopped.ended_at is not None
    after = late.model_copy(update={"at": stopped.ended_at + timedelta(seconds=1)})
    assert compose(stopped, some, after) == compose(stopped, some)


def test_numbers_read_as_people_write_them() -> None:
    assert [plain(one) for one in (0, 1234567.891, 0.012345, 12.5, 1e-9, None)] == [
        *("0", "1,234,568", "0.01235", "12.5", "1e-09", "?")
    ]
    assert [as_percent(one) for one in (12.345, -0.5, 0.0)] == ["+12.3 %", "-0.50 %", "+0.00 %"]
    assert measured(0.1234, "proportion") == "12.34 %"
    assert [chance(one) for one in (0.0314, 1e-301, None)] == ["0.031", "< 1e-300", "?"]
