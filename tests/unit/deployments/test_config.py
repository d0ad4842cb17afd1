from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from greenlane.deployments.declaring.config import (
    DeploymentConfig,
    JudgeConfig,
    ServiceConfig,
    StepConfig,
    ValidationTest,
)
from greenlane.deployments.declaring.document import read_document
from greenlane.problems import InvalidDocument


def refusal(model, **values):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return str(caught.value)


def test_a_step_is_a_weight_or_a_mapping():
    config = DeploymentConfig.model_validate({"steps": [5, {"weight": 100, "bake": "1m"}]})
    assert config.steps == (
        StepConfig(weight=5),
        StepConfig(weight=100, bake=timedelta(minutes=1)),
    )


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([10, 5, 100], "5 follows 10"),
        ([10, 10, 100], "10 follows 10"),
        ([0, 100], "at least 1 percent"),
        ([10, 50], "must be 100 percent, not 50"),
        ([], "at least 1 item"),
        ([101], "less than or equal to 100"),
        ([-1, 100], "greater than or equal to 0"),
        ([1.5, 100], "fractional part"),
    ],
)
def test_weights_rise_from_1_to_100(steps, said):
    assert said in refusal(DeploymentConfig, steps=steps)


@given(st.lists(st.integers(-5, 105), min_size=1, max_size=8))
def test_steps_are_accepted_exactly_when_they_rise_to_100(weights):
    rises = all(a < b for a, b in zip(weights, weights[1:], strict=False))
    expected = rises and weights[0] >= 1 and weights[-1] == 100
    try:
        DeploymentConfig.model_validate({"steps": weights})
    except ValidationError:
        assert not expected
    else:
        assert expected


def test_a_negative_bake_is_refused():
    assert "bake" in refusal(DeploymentConfig, bake=-1)


def test_the_extended_watch_is_never_shorter_than_the_watch():
    assert "extended_watch" in refusal(DeploymentConfig, watch="2h", extended_watch="1h")


def test_a_configuration_survives_storage():
    config = ServiceConfig.model_validate(
        {
            "name": "shop",
            "deployment": {"steps": [1, {"weight": 100, "approval": True}], "bake": "90s"},
            "judge": {"error_rate": 0.02},
            "validation": [{"name": "up", "expect_json": {"a.b": 1}}],
        }
    )
    assert ServiceConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("name", ["Shop", "shop_1", "-shop", "shop-", "s", "x" * 33, ""])
def test_a_service_name_fits_into_the_names_of_its_resources(name):
    assert "name" in refusal(ServiceConfig, name=name)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_an_error_rate_is_a_ratio(value):
    assert "error_rate" in refusal(JudgeConfig, error_rate=value)


def test_a_limit_written_as_a_float_keeps_its_decimal_digits():
    assert JudgeConfig(error_rate=0.01).error_rate == Decimal("0.01")


def test_a_validation_path_begins_with_a_slash():
    assert "path" in refusal(ValidationTest, name="up", path="health")


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key", "x-auth-token"])
def test_a_validation_header_that_carries_a_secret_is_refused_and_the_secret_not_shown(name):
    text = f"service: {{name: shop, validation: [{{name: a, headers: {{{name}: sesame}}}}]}}"
    with pytest.raises(InvalidDocument) as refused:
        read_document(text, "shop.yaml")
    said = str(refused.value)
    assert f"service.validation.0.headers.{name}: '{name}' is not accepted" in said
    assert "use a hook" in said
    assert "sesame" not in said
