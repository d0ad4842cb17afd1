"""What follows from an end: the winning flag is ramped, the report written, people told.

Each is done once. That it was done is written with the test when it is, that of the report by
itself. A process that ends in between leaves it to the minute tick, and each can be done again: the
ramp is found in the audit of flags, a report is the same to the byte, and news has the same id, by
which channels know a repetition.
"""

from collections.abc import Callable
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.storing.journal import publish
from greenlane.errors import GreenlaneError, NotReconciled
from greenlane.experiments.counting.reading import counted, snapshot_of
from greenlane.experiments.report.compose import compose
from greenlane.experiments.report.keeping import write_experiment_report
from greenlane.experiments.report.segments import (
    SegmentsRead,
    fitting,
    keep_segments,
    read_segments,
)
from greenlane.experiments.running.experiment_news import news_of
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.winner_flag import (
    begun_before,
    flag_to_ramp,
    left_to_people,
    ramp_winner,
)
from greenlane.experiments.storing.state import Consequence, StoredTest, StoredTests, owed
from greenlane.flags.ramps.flag_writes import GREENLANE
from greenlane.logs import logger

LEFT_TO_OTHERS = timedelta(seconds=30)
"""So long nobody else does what follows from an end that somebody just wrote: mail does not know a
repetition."""

NEWS_WITHOUT_FLAG = timedelta(minutes=10)
"""So long news waits for what became of the flag, so that it can tell that too."""


def settle(runtime: ExperimentRuntime, test: StoredTest) -> None:
    """Do what is owed, none in another's way, and write down what was done.

    Raises:
        NotReconciled: something of it was not done; all had their turn.
        ClientError: it was done, and could not be written down; it is done again.
    """
    done: list[Consequence] = []
    problems: list[str] = []
    todo, ramped = owed(test), ""

    def attempt(what: Consequence, do: Callable[[], str | None]) -> str | None:
        try:
            said = do()
        except (GreenlaneError, ClientError, BotoCoreError) as error:
            logger.error("not done after an end", test=test.name, what=what, error=str(error))
            problems.append(f"{what}: {type(error).__name__}")
            return None
        except Exception as error:  # a page that cannot be drawn must not keep the news back
            logger.exception("not done after an end", test=test.name, what=what)
            problems.append(f"{what}: {type(error).__name__}")
            return None
        if said is not None:
            done.append(what)
        return said

    if "flag" in todo:
        ramped = attempt("flag", lambda: ramp_winner(runtime, test)) or ""
    elif "news" in todo:
        ramped = _ramped_before(runtime, test)
    if "news" in todo and _may_tell(runtime, test, done):
        attempt("news", lambda: _tell(runtime, test, ramped))
        if "news" not in done:
            problems.append("news: the topic did not take it")
    if done:
        # Before the report, which reads and draws most: one that takes all time or memory ends the
        # process, and must neither keep people from being told nor have them told each minute.
        _write_down(runtime, test, done, ramped)
    if "report" in todo and attempt("report", lambda: _report(runtime, test)) is not None:
        _write_down(runtime, test, ["report"], "")
    if problems:
        raise NotReconciled(f"{test.name}: {'; '.join(dict.fromkeys(problems))}")


def _may_tell(runtime: ExperimentRuntime, test: StoredTest, done: list[Consequence]) -> bool:
    if "flag" in done or "flag" not in owed(test):
        return True
    return test.ended_at is not None and runtime.clock.now() >= test.ended_at + NEWS_WITHOUT_FLAG


def _ramped_before(runtime: ExperimentRuntime, test: StoredTest) -> str:
    """What an earlier try came to, without trying again."""
    if flag_to_ramp(test) is None:
        return left_to_people(test)
    try:
        found = begun_before(runtime, test)
    except (GreenlaneError, ClientError, BotoCoreError):
        found = ""
    return found or "the audit of the test has what became of it"


def _report(runtime: ExperimentRuntime, test: StoredTest) -> str:
    looks = runtime.experiments.looks(test.name, test.run)
    watch = runtime.experiments.watch(test.name, test.run)
    report = compose(test, looks, watch, _segments(runtime, test))
    account = runtime.settings.topic_arn.split(":")[4]
    write_experiment_report(runtime.s3, runtime.settings.incidents_bucket, account, report)
    return "written"


def _segments(runtime: ExperimentRuntime, test: StoredTest) -> SegmentsRead | None:
    """The segments as they were first read after the end; none where the test has none."""
    names = list(test.definition.segments)
    if not names:
        return None
    client, table = runtime.counts, runtime.settings.experiments_table
    found = read_segments(client, table, test.name, test.run)
    if found is not None:
        return found
    now, sums = runtime.clock.now(), counted(client, table, test)
    snapshots = {name: snapshot_of(test, sums, now, name) for name in names}
    read = fitting(SegmentsRead(at=now, snapshots=snapshots), test.definition)
    if read is None:
        logger.warning("segments do not fit into the table", test=test.name, segments=len(names))
        return None
    return keep_segments(client, table, test.name, test.run, read)


def _tell(runtime: ExperimentRuntime, test: StoredTest, ramped: str) -> str | None:
    services = runtime.store.services()
    return "told" if publish(runtime, news_of(runtime, test, ramped, services)) else None


def _write_down(
    runtime: ExperimentRuntime, test: StoredTest, done: list[Consequence], ramped: str
) -> None:
    def edit(tests: StoredTests) -> StoredTests:
        now = tests.tests.get(test.name)
        if now is None or now.run != test.run or now.status != "concluded":
            return tests
        settled = {**now.settled, **dict.fromkeys(done, test.run)}
        if settled == now.settled:
            return tests
        return tests.with_test(now.model_copy(update={"settled": settled}))

    named = [what for what in done if what != "flag" or ramped]
    said = f"done after its end: {', '.join(named)}{f'; {ramped}' if ramped else ''}"
    runtime.experiments.change(edit, by=GREENLANE, reason=said[:1000], at=runtime.clock.now())
