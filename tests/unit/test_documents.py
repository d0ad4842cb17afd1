from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.documents import MAX_BYTES, decode, load, validate
from greenlane.errors import InvalidInput
from greenlane.problems import InvalidDocument


def problems_of(text):
    with pytest.raises(InvalidDocument) as caught:
        validate(ServiceConfig, load(text, "service.yaml"), ("service",))
    return caught.value.problems


def yaml_problem(text):
    with pytest.raises(InvalidDocument) as caught:
        load(text, "service.yaml")
    (problem,) = caught.value.problems
    return problem


def test_yes_no_dates_and_clock_times_are_text():
    found = load("a: yes\nb: off\nc: 2024-01-15\nd: 1:30\ne: NO").data
    assert found == {"a": "yes", "b": "off", "c": "2024-01-15", "d": "1:30", "e": "NO"}


def test_numbers_truth_and_nothing_are_read_as_in_yaml_1_2():
    found = load("a: 0777\nb: 0x1f\nc: 1e3\nd: -.5\ne: true\nf: ~\ng:\nh: 0o17").data
    assert found == {
        "a": 777,
        "b": 31,
        "c": 1000.0,
        "d": -0.5,
        "e": True,
        "f": None,
        "g": None,
        "h": 15,
    }


def test_quoted_scalars_stay_text():
    assert load("a: '5'\nb: \"true\"").data == {"a": "5", "b": "true"}


def test_every_repeated_key_is_reported_with_both_lines():
    with pytest.raises(InvalidDocument) as caught:
        load("a:\n  b: 1\n  b: 2\na: 3\n", "x.yaml")
    inner, outer = caught.value.problems
    assert (inner.field, inner.line) == ("a.b", 3)
    assert "line 2" in inner.way_out
    assert (outer.field, outer.line) == ("a", 4)


def test_broken_yaml_names_the_line():
    assert yaml_problem("a: 1\nb: [1, 2\nc: 3\n").line == 3


def test_an_empty_file_is_refused_with_a_way_to_begin():
    assert "service:" in yaml_problem("# nothing\n").way_out


@pytest.mark.parametrize("text", ["- 1\n", "just text\n", "5\n"])
def test_a_file_that_is_not_a_mapping_is_refused(text):
    assert "service:" in yaml_problem(text).way_out


def test_two_documents_in_one_file_are_refused():
    assert "single document" in yaml_problem("a: 1\n---\nb: 2\n").way_out


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.getcwd []", "!!binary aGk=", "!mine x"])
def test_tags_build_nothing(tag):
    assert "plain values only" in yaml_problem(f"a: {tag}\n").way_out


def test_an_alias_to_itself_is_refused():
    assert yaml_problem("a: &x [1, *x]\n").field == "a.1"


def test_aliases_that_multiply_are_bounded():
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "at most 20000 values" in yaml_problem("\n".join(rows)).way_out


def test_plain_aliases_work():
    assert load("a: &x {k: 1}\nb: *x\n").data == {"a": {"k": 1}, "b": {"k": 1}}


def test_depth_and_size_are_bounded():
    assert "deeper" in yaml_problem("[" * 5000).way_out
    assert "128 KiB" in yaml_problem("#" * (MAX_BYTES + 1)).way_out


def test_a_number_of_a_thousand_digits_is_an_error_not_a_crash():
    assert yaml_problem(f"a: {'9' * 10_000}\n").field == "a"


def test_bytes_that_are_not_utf8_name_the_line():
    with pytest.raises(InvalidDocument) as caught:
        decode(b"a: 1\nb: \xff\n", "x.yaml")
    assert caught.value.line == 2


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert decode("\ufeffa: 1".encode()) == "a: 1"


def test_all_problems_are_reported_together_in_the_order_of_lines():
    found = problems_of(
        "service:\n"
        "  name: Claude\n"
        "  deployment:\n"
        "    stratgey: canary\n"
        "    bake: -1\n"
        "    steps: [1, {weight: 200}]\n"
        "  judge: {error_rate: 2}\n"
    )
    assert [(problem.line, problem.field) for problem in found] == [
        (2, "service.name"),
        (4, "service.deployment.stratgey"),
        (5, "service.deployment.bake"),
        (6, "service.deployment.steps.1.weight"),
        (7, "service.judge.error_rate"),
    ]


def test_a_misspelt_key_gets_the_nearest_name():
    (problem,) = problems_of("service:\n  name: shop\n  deployment: {max_duratoin: 2h}\n")
    assert problem.field == "service.deployment.max_duratoin"
    assert "did you mean max_duration?" in problem.way_out


def test_a_misspelt_key_inside_a_list_gets_the_nearest_name():
    (problem,) = problems_of("service:\n  name: shop\n  validation:\n  - {nmae: x}\n")
    assert problem.field == "service.validation.0.nmae"
    assert "did you mean name?" in problem.way_out


def test_an_unknown_key_like_no_other_gets_the_list():
    (problem,) = problems_of("service:\n  name: shop\n  notifications: {zzz: 1}\n")
    assert "slack_channel, email_list, pagerduty_integration" in problem.way_out


def test_a_misspelt_choice_gets_the_nearest_one():
    (problem,) = problems_of("service: {name: shop, deployment: {strategy: cannary}}\n")
    assert problem.value == "cannary"
    assert "did you mean canary?" in problem.way_out


def test_weights_that_fall_name_the_steps():
    (problem,) = problems_of("service:\n  name: shop\n  deployment:\n    steps: [10, 5, 100]\n")
    assert (problem.line, problem.field) == (4, "service.deployment.steps")
    assert "5 follows 10" in problem.way_out


def test_a_missing_key_says_that_it_is_required():
    (problem,) = problems_of("service:\n  container: web\n")
    assert (problem.field, problem.way_out) == ("service.name", "this key is required")


def test_the_message_names_file_line_field_value_and_way_out():
    with pytest.raises(InvalidDocument) as caught:
        validate(
            ServiceConfig,
            load("service:\n  name: shop\n  deployment: {bake: 5}\n", "shop.yaml"),
            ("service",),
        )
    assert str(caught.value) == (
        "shop.yaml: line 3: service.deployment.bake: 5 is not accepted: "
        "a duration needs a unit, such as 30s, 5m or 2h"
    )


def test_a_value_too_long_for_a_line_is_cut():
    (problem,) = problems_of(f"service: {{name: {'x' * 500}}}\n")
    assert len(str(problem)) < 300


def test_a_duration_beyond_counting_is_an_error_not_a_crash():
    (problem,) = problems_of("service: {name: shop, deployment: {bake: 99999999999999999d}}\n")
    assert problem.field == "service.deployment.bake"


def test_a_correct_file_becomes_the_model():
    source = load("service: {name: shop, deployment: {bake: 90s, steps: [50, 100]}}\n")
    config = validate(ServiceConfig, source, ("service",))
    assert config.deployment.bake == timedelta(seconds=90)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.just("5m")
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*ServiceConfig.model_fields, "strategy", "steps", "weight", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def assert_mapping_or_problems(text):
    data, wrong = None, 0
    try:
        data = load(text).data
    except InvalidDocument as error:
        wrong = len(error.problems)
    assert isinstance(data, dict) or wrong


@given(st.text(max_size=200))
def test_any_text_is_a_mapping_or_an_invalid_document(text):
    assert_mapping_or_problems(text)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@ \n\t0?,.~", max_size=80))
def test_any_yaml_like_text_is_a_mapping_or_an_invalid_document(text):
    assert_mapping_or_problems(text)


@given(trees)
def test_any_tree_is_a_configuration_or_an_invalid_document(tree):
    import yaml

    said = ""
    try:
        source = load(yaml.safe_dump({"service": tree}), "x.yaml")
        config = validate(ServiceConfig, source, ("service",))
    except InvalidInput as error:
        config, said = None, str(error)
    assert isinstance(config, ServiceConfig) or said
