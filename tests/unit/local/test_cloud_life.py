import threading
import time
from pathlib import Path
from typing import Any

import pytest
from moto.awslambda.models import LambdaFunction
from moto.core.config import default_user_config
from moto.events.models import EventsBackend
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.responses import StepFunctionResponse

from greenlane.local.cloud import LocalCloud
from greenlane.local.errors import DirectoryInUse, LocalCloudError


def test_an_empty_account_at_each_start(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "cloud", parts=())
    for _ in range(2):
        with cloud:
            sqs = cloud.client("sqs")
            assert "QueueUrls" not in sqs.list_queues()
            sqs.create_queue(QueueName="q")
            assert len((tmp_path / "cloud" / "calls.jsonl").read_text().splitlines()) == 2


def test_a_directory_with_other_files_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DirectoryInUse, match="choose another"):
        LocalCloud(tmp_path, parts=()).start()
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with LocalCloud(tmp_path / "cloud", parts=()):
        pass


def test_stopping_undoes_every_patch_and_ends_every_thread(tmp_path: Path) -> Any:
    def patched() -> Any:
        return [
            LambdaFunction.invoke,
            EventsBackend.put_events,
            EventsBackend.put_rule,
            Execution.start,
            StepFunctionResponse.stop_execution,
            dict(default_user_config["stepfunctions"]),
        ]

    before, threads = patched(), set(threading.enumerate())
    cloud = LocalCloud(tmp_path / "cloud", parts=())
    with cloud:
        assert patched() != before
        cloud.client("sqs").list_queues()
    assert patched() == before
    deadline = time.monotonic() + 60
    while set(threading.enumerate()) - threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - threads
    with pytest.raises(LocalCloudError, match="does not run"):
        _ = cloud.endpoint_url


def test_a_failing_part_stops_what_had_started(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError):
        LocalCloud(tmp_path / "cloud", parts=("no_such_part",)).start()
    with LocalCloud(tmp_path / "cloud", parts=()) as cloud:
        assert cloud.client("sqs").list_queues()
