"""What docs/flags-ramps.md shows, done against a store in memory."""

import re
import shlex
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.deployments.declaring.document import read_document
from greenlane.flags.ramps.flag_alarms import alarms_of
from greenlane.flags.ramps.guards import guards
from greenlane.flags.ramps.impact import LONGEST, PERMITTED, PROPAGATION, Behind, Questions
from greenlane.flags.ramps.ramp import MAX_HOLD, raised
from greenlane.flags.ramps.schedule_guard import EAGER, SELDOM_MINUTES, SOON
from greenlane.flags.storing.state import RampStatus, StoredFlags
from greenlane.flags.storing.store import DynamoFlagStore
from greenlane.health.alarm_definitions import FLAGS
from greenlane.health.verdicts import ALPHA, LEAST_SAMPLES
from tests.builders import SERVICE, service_config
from tests.docs.pages import ROOT, blocks
from tests.flag_store import NOW, memory_store, put

PAGE = ROOT / "docs" / "flags-ramps.md"


def on_page(language: str) -> list[str]:
    return [block.text for block in blocks(language) if block.page == PAGE]


def flags_file() -> str:
    return next(text for text in on_page("yaml") if "feature_flags:" in text)


def behind() -> Behind:
    declared = next(text for text in on_page("yaml") if "service:\n" in text and "Shop" in text)
    assert read_document(declared, "page")
    metrics = {
        "checkout_failures": {
            "namespace": "Shop",
            "metric": "CheckoutFailed",
            "dimensions": {"Flag": "{flag}", "Variant": "{variant}"},
            "shape": "proportion",
            "worse": "up",
        }
    }
    config = service_config(metrics=metrics)
    assert config.workload is not None
    return Behind(config, config.workload)


def test_each_condition_of_the_example_can_be_asked_and_is_watched() -> None:
    store = memory_store()
    put(store, flags_file())
    flags = store.read()
    services = (SERVICE, f"{SERVICE}-staging")
    found = {(one.environment, one.service) for one in guards(flags, services)}
    assert found == {("production", SERVICE), ("staging", f"{SERVICE}-staging")}
    questions = [
        Questions(one, behind()) for one in guards(flags, services) if one.service == SERVICE
    ]
    assert [one.wrong for one in questions] == [{}]
    alarms = alarms_of(flags, SERVICE, behind(), services)
    assert not alarms.unwatched
    assert all(name.startswith(f"{FLAGS}.{SERVICE}.") for name in alarms.whose)
    # One for each slot, and one for those who have the flag.
    assert len(alarms.whose) == 3


def one_step_up(store: DynamoFlagStore) -> None:
    def edit(flags: StoredFlags) -> StoredFlags:
        one = flags.flags["new_checkout"]
        state = one.state("production")
        assert state.ramp is not None
        after = raised(state, state.ramp, NOW + timedelta(minutes=1))
        states = {**one.states, "production": after}
        return flags.with_flag("new_checkout", one.model_copy(update={"states": states}))

    store.change(edit, by="greenlane", reason="", at=NOW)


def test_the_commands_and_the_python_example_work_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)
    monkeypatch.setattr("secrets.token_hex", lambda size: "1a2b")
    (tmp_path / "feature-flags.yaml").write_text(flags_file())
    store = memory_store()
    who = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW), principal="jo")
    client = SimpleNamespace(flags=store, connection=who, experiments=MagicMock())
    text = next(text for text in on_page("bash") if "flags ramp" in text)
    for line in text.splitlines():
        if line == "greenlane apply -f greenlane.yaml":
            continue  # the service's own file, which has other pages
        session = Session()
        session.__dict__["client"] = client
        result = CliRunner().invoke(app, shlex.split(line)[1:], obj=session)
        assert result.exit_code == 0, (line, result.output)
        if "--to" in line:
            one_step_up(store)
        if "flags get" in line:
            (shown,) = on_page("text")
            assert shown in result.stdout
    state = store.read().flags["new_checkout"].state("production")
    assert state.ramp is not None
    assert (state.ramp.status, state.ramp.interval) == ("stopped", timedelta(minutes=10))
    (example,) = on_page("python")
    with patch("greenlane.deployments.client.Greenlane.connect", return_value=client):
        names: dict[str, Any] = {}
        exec(compile(example, str(PAGE), "exec"), names)
    assert capsys.readouterr().out == "running\n"


def test_the_numbers_and_words_of_the_page_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    for said, number in (
        (r"longer than the service's `max_hold` \((\d+) minutes\)", MAX_HOLD.seconds // 60),
        (r"from (\d+) seconds after it", PROPAGATION.seconds),
        (r"at least (\d+) samples in the step", LEAST_SAMPLES),
        (r"or a mean (\d+) percent worse", int(PERMITTED["mean"] * 100)),
    ):
        found = re.search(said, text)
        assert found is not None, said
        assert int(found[1]) == number
    assert (ALPHA, PERMITTED["proportion"] * 2) == (0.01, 1)  # once in a hundred, half as many
    assert (timedelta(minutes=2), timedelta(minutes=30), 10) == (SOON, EAGER, SELDOM_MINUTES)
    assert timedelta(days=1) == LONGEST
    for status in RampStatus.__args__:  # type: ignore[attr-defined]
        assert f"`{status}`" in text
