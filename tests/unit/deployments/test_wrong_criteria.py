"""What is wrong in a file of criteria is said, with its line and the way out."""

import pytest

from greenlane.deployments.declaring.document import read_document
from greenlane.problems import InvalidDocument


def problems_of(text):
    with pytest.raises(InvalidDocument) as caught:
        read_document(text, "x.yaml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("error_rate < 0.05", "harms when it goes up; write >"),
        ("throughput > 0", "harms when it goes down; write <"),
        ("cpu_usage > 90 or error_rate <= 0.05", "error_rate harms when it goes up"),
        ("error_rate < 0.05 and cpu_usage < 90", "harms when it goes up"),
        ("not throughput < 5 and cpu_usage > 90 or healthy_hosts >= 2", "healthy_hosts harms"),
        ("error_rate > 5", "a ratio: 0.05 is 5 percent"),
        ("error_rate > 1", "a ratio: 0.01 is 1 percent"),
        ("cpu_usage > 0.9", "write 90 for 90 percent"),
        ("response_time_p95 > 2.5", "write 2500 for 2.5 seconds"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_said(text, problem):
    (found,) = problems_of(f"alerts:\n  critical:\n  - {text}\n")
    assert found.line == 3
    assert problem in found.way_out


@pytest.mark.parametrize(
    "text",
    [
        "throughput > 100 and conversion_rate < 0.02",
        "error_rate >= 1",
        "cpu_usage > 0",
        "own_metric < 0.5",
        "cpu_usage > 90 and not throughput < 5",
    ],
)
def test_a_condition_may_say_besides_when_it_matters(text):
    read_document(f"alerts: {{critical: [{text!r}]}}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("success_criteria:\n  system: {cpu_usage: 0.8}", "80 for 80 percent"),
        ("success_criteria:\n  metrics: {page_load_time: 3}", "write 3000 for 3 seconds"),
        ("success_criteria:\n  metrics: {error_rate: 5}", "0.05 is 5 percent"),
        ('success_criteria:\n  system: {cpu_usage: "80%"}', "percent such as 80"),
        (
            "canary:\n  success_criteria: {business_metrics: [{name: revenue, threshold: -2}]}",
            "write -0.02 for 2 percent",
        ),
    ],
)
def test_a_limit_in_another_unit_is_said(text, problem):
    (found,) = problems_of(text)
    assert found.line == 2
    assert problem in found.way_out


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("error_rate: {threshold: 0.01, comparison: greater_than}", "comparison: less_than"),
        ("throughput: {threshold: 0.95, comparison: less_than_live}", "highest multiple"),
        ("throughput: {threshold: 1.5, comparison: less_than_live}", "greater_than_live"),
        ("throughput: {threshold: 1.5, comparison: greater_than_live}", "lowest multiple"),
        ("error_rate: 5", "0.01 is one percent"),
        ('error_rate: "1%"', "a ratio such as 0.01"),
        ("response_time_p95: 0", "milliseconds"),
        ("response_time_p95: 2", "2000 is 2 seconds"),
        ("response_time_p95: 2s", "milliseconds such as 2000"),
        ("response_time_p95: .nan", "finite"),
        ("throughput_degradation: 5", "0.05 permits 5 percent"),
        ("eror_rate: 0.01", "did you mean error_rate?"),
    ],
)
def test_a_wrong_limit_is_said_with_its_line(body, problem):
    (found,) = problems_of(f"success_criteria:\n  performance:\n    {body}\n")
    assert found.line == 3
    assert problem in found.way_out


@pytest.mark.parametrize(
    ("text", "field", "way_out"),
    [
        ("sucess_criteria: {}", "sucess_criteria", "did you mean success_criteria?"),
        ("success_criteria:\n  busines: {}", "success_criteria.busines", "business"),
        ("alerts:\n  critical:\n  - cpu_usge > 1", "alerts.critical.0", "did you mean cpu_usage?"),
        ("alerts:\n  warning: [system_unavailble]", "alerts.warning.0", "system_unavailable"),
        (
            "monitoring:\n  during_deployment: {metrics: [performanc]}",
            "monitoring.during_deployment.metrics.0",
            "did you mean performance?",
        ),
        (
            "monitoring:\n  post_deployment: {duration: 2h, extended_monitoring: 1h}",
            "monitoring.post_deployment.extended_monitoring",
            "shorter",
        ),
        (
            "success_criteria:\n  security: {vulnerability_scann: pass}",
            "success_criteria.security.vulnerability_scann",
            "did you mean vulnerability_scan?",
        ),
        (
            "success_criteria:\n  security: {security_tests: fail}",
            "success_criteria.security.security_tests",
            "write pass",
        ),
        (
            "success_criteria:\n  security: {security_tests: {high: 3}}",
            "success_criteria.security",
            "only vulnerability_scan",
        ),
    ],
)
def test_a_slip_is_said_with_its_place_and_the_way_out(text, field, way_out):
    (found,) = problems_of(text)
    assert found.field == field
    assert way_out in found.way_out
    assert found.line == text.count("\n") + 1
