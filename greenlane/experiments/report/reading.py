"""The report of a test, made of what the table has; of earlier runs, as it was written."""

from typing import Any

from pydantic import ValidationError

from greenlane.errors import InvalidInput, Refused
from greenlane.experiments.report.compose import compose
from greenlane.experiments.report.keeping import read_experiment_report
from greenlane.experiments.report.model import Report
from greenlane.experiments.report.segments import read_segments
from greenlane.experiments.storing.store import ExperimentStore


def report_of(
    store: ExperimentStore,
    client: Any,
    table: str,
    name: str,
    *,
    run: int | None = None,
    written: tuple[Any, str, str] | None = None,
) -> Report:
    """The report of a run.

    Of the present run it is made anew of the looks that were kept, which gives the same as when it
    was written. The definition of an earlier run is only in its report.

    Args:
        store: where tests are kept.
        client: a boto3 `dynamodb` client.
        table: of A/B tests.
        name: the test.
        run: which; the present one if left out.
        written: a boto3 `s3` client, the bucket of reports and its account, for earlier runs.

    Raises:
        UnknownTest: there is no such test.
        InvalidInput: it has no such run yet.
        Refused: the run never was, or its report is not there.
        ClientError: AWS did not answer, or said no.
    """
    test = store.test(name)
    if run is None or run == test.run:
        looks, watch = store.looks(name, test.run), store.watch(name, test.run)
        return compose(test, looks, watch, read_segments(client, table, name, test.run))
    if not 1 <= run < test.run:
        raise InvalidInput("run", run, f"{name} is in run {test.run}; the first is 1")
    found = None
    if written is not None:
        try:
            found = read_experiment_report(*written, name, run)
        except ValidationError as error:
            raise Refused(f"the report of run {run} is of another version: {error}") from None
    if found is None:
        raise Refused(f"there is no report of run {run} of {name}; it may have been too long ago")
    return found
