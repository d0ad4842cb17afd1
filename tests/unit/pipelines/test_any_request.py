"""Whatever JSON is asked, it is a request or an error that names a key; never anything else."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.model import DeploymentRequest
from greenlane.errors import InvalidInput
from greenlane.pipelines.model import Asked, Envelope
from greenlane.pipelines.request import NoFiles, parse, read_asked
from greenlane.pipelines.serving import LONGEST_ID, subject_id
from tests.builders import SERVICE

KEYS = [
    *Envelope.model_fields,
    *DeploymentRequest.model_fields,
    *("flag", "experiment", "migration", "regions", "policy", "despite_hold"),
    *("key", "set", "enabled", "ramp", "to", "name", "database", "plan", "phase", "weight"),
]
LIKELY = [SERVICE, "1.4.2", "canary", "rolling", "safe", "expand", "10m", "e-1", "#{a.B}", "start"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(LIKELY)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
requests = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)


def read(asked: dict[str, Any]) -> Asked | None:
    said = "a request"
    try:
        return read_asked(parse(json.dumps(asked)), NoFiles(), by="test")
    except InvalidInput as error:
        said = str(error)
    assert 0 < len(said) < 20_000
    return None


@given(requests)
def test_any_object_is_a_request_or_an_error_that_helps(asked: dict[str, Any]) -> None:
    read(asked)


@given(requests)
def test_any_object_around_a_good_request_too(asked: dict[str, Any]) -> None:
    base = {"service": SERVICE, "version": "1.4.2", "pipeline_execution_id": "e-1"}
    found = read(base | asked)
    if found is not None:
        assert len(subject_id(found, 1)) <= LONGEST_ID
        assert found.digest == getattr(read(base | asked), "digest", None)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    said = ""
    try:
        assert isinstance(parse(text), dict)
    except InvalidInput as error:
        said = str(error)
    assert said == "" or said.startswith("UserParameters: ")
