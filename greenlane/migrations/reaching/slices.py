"""The steps of the workflow inside the databases' network: a check, a slice forward, a slice back.

Each reads the plan, asks the runner for one answer, and says by it what comes next.
"""

from datetime import timedelta

from greenlane.migrations.declaring.plan import Plan, read_plan
from greenlane.migrations.guarding.deciding import after_check, after_slice, after_undo
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.plans import fetch_plan
from greenlane.migrations.guarding.release import WAIVED_BY
from greenlane.migrations.reaching.connecting import connecting
from greenlane.migrations.reaching.runtime import NetworkRuntime
from greenlane.migrations.running.checking import check
from greenlane.migrations.running.model import SliceRequest
from greenlane.migrations.running.slicing import run_slice
from greenlane.migrations.running.undoing import undo_slice

CHECK_TIME = timedelta(minutes=4)
SLICE_TIME = timedelta(minutes=13)
"""Less than the functions' own limits by what a cold start and the plan's way may take."""


def check_migration(run: MigrationRun, runtime: NetworkRuntime) -> MigrationRun:
    """Look whether the phase can run in the database as it is; nothing is changed.

    Raises:
        InvalidInput: the plan is not there, or is another one than its name says.
        ConnectionLost: the database does not answer.
    """
    connect = connecting(run.described, runtime)
    request = request_of(run, runtime, CHECK_TIME)
    return after_check(run, check(connect, _plan(run, runtime), request, runtime.clock))


def run_migration(run: MigrationRun, runtime: NetworkRuntime) -> MigrationRun:
    """Run one slice of the phase.

    Raises:
        FenceLost: a later owner, or a later slice of this one, wrote in the database.
        Refused: the server is a replica, or the plan is not the one that began.
        ConnectionLost: the session ended; what was committed is in the ledger.
    """
    connect = connecting(run.described, runtime)
    request = request_of(run, runtime, SLICE_TIME)
    return after_slice(run, run_slice(connect, _plan(run, runtime), request, runtime.clock))


def undo_migration(run: MigrationRun, runtime: NetworkRuntime) -> MigrationRun:
    """Run one slice of what undoes the phase; without accepted losses, of what is exact.

    Raises:
        FenceLost, Refused, ConnectionLost: see `run_migration`.
        DataLoss: more would be lost than was accepted.
    """
    connect = connecting(run.described, runtime)
    request = request_of(run, runtime, SLICE_TIME)
    accepted = frozenset(run.request.accept_data_loss)
    plan = _plan(run, runtime)
    return after_undo(run, undo_slice(connect, plan, request, runtime.clock, accepted))


def request_of(run: MigrationRun, runtime: NetworkRuntime, time: timedelta) -> SliceRequest:
    """What the runner is asked to do."""
    overrides = tuple(one for one in run.request.overrides if one.rule != WAIVED_BY)
    return SliceRequest(
        database=run.database,
        plan_sha=run.request.plan_sha,
        phase=run.phase,
        epoch=run.fence,
        execution=run.execution,
        deadline=runtime.clock.now() + time,
        limits=run.limits,
        overrides=overrides,
        undo=run.request.undo,
    )


def _plan(run: MigrationRun, runtime: NetworkRuntime) -> Plan:
    bucket, sha256 = runtime.settings.migrations_bucket, run.request.plan_sha
    return read_plan(fetch_plan(runtime.plans, bucket, runtime.account, sha256), sha256)
