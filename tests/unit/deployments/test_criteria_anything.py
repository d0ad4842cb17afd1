"""A file of success criteria with anything in it: read, or refused in words."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlane.deployments.declaring.document import read_document
from greenlane.problems import InvalidDocument

KEYS = st.sampled_from(
    [
        *("success_criteria", "performance", "business", "system", "security", "metrics"),
        *("error_rate", "revenue_impact", "vulnerability_scan", "threshold", "comparison"),
        *("monitoring", "post_deployment", "duration", "alerts", "critical", "x"),
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(["pass", "5m", "less_than_live", "error_rate > 1", "x > ", "1e999"]),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def read(text):
    """The kind of a file that is read, or what is wrong with it."""
    try:
        return read_document(text, "criteria.yaml").kind, ()
    except InvalidDocument as refused:
        return None, refused.problems


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["success_criteria", "monitoring", "alerts"]), ANYTHING, min_size=1
    )
)
def test_whatever_stands_in_it_is_read_or_refused(document):
    kind, problems = read(yaml.safe_dump(document))
    assert (kind == "success_criteria") is not bool(problems)
    assert all(problem.field and problem.way_out for problem in problems)
