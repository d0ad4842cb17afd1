"""What people see of everything that is under way, by the command itself."""

import gzip
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from greenlane.cli.console import SafeConsole
from greenlane.cli.main import app
from greenlane.cli.overview_views import everything_view
from greenlane.cli.session import Session
from greenlane.deployments.connection import TABLE
from greenlane.errors import GreenlaneError
from greenlane.experiments.names import TABLE as EXPERIMENTS
from greenlane.experiments.storing.stored_items import TEST, TESTS, key
from greenlane.flags.names import TABLE as FLAGS
from greenlane.status.model import Everything
from tests.builders import NOW
from tests.fakes import error
from tests.unit.status.everything import Town, busy

SCREEN = """\
2026-11-23 12:03:00 UTC
4 things need a person
  deployment accounts accounts-1  held: the good slot has no healthy target  for 3m
    greenlane get accounts
  deployment payments payments-1  step 2 of 3 waits for approval  for 12m
    greenlane promote payments
  restore people re-1  it asks people: whether to use the new database  for 3m
    greenlane migrations restore get re-1
  proposal PROPOSAL  banner in production, by jo  for 3m
    greenlane flags proposals PROPOSAL

going back
  service  deployment  moved   because
  mail     mail-1      3m ago  mail-green-p95: p95 above 5 s

deployments
  service   deployment  phase     step    weight  for
  checkout  checkout-1  shifting  2 of 3  50 %    3m   bake left 1m
  images    images-1    watching  -       100 %   3m   watched for 57m more
  payments  payments-1  shifting  2 of 3  50 %    3m   waits for approval
  search    search-1    planning  -       0 %     3m

rollouts through Regions
  service   rollout      version            Regions  for
  checkout  checkout-r1  1.4.2    advances  1 of 3   3m   the window of us-east-1 is closed

migrations
  database  run  phase    for
  orders    m-1  migrate  3m   waits: replicas are 8 s behind

restores
  database  restore  mode     stage    for
  people    re-1     cutover  approve  3m

ramps of flags
  flag          environment  level  target  for
  new_checkout  staging      5 %    50 %    3m

A/B tests
  test     variants            traffic  for  ends
  colours  control, treatment  100 %    3m   in 13d23h at the latest
"""


class Connection:
    """The edges of a client that the command uses."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def client(self, name: str) -> Any:
        assert name == "dynamodb", "nothing but the tables is asked"
        return self.town.dynamodb

    @property
    def clock(self) -> "Connection":
        return self

    def now(self) -> Any:
        return self.town.now


Run = Callable[..., Any]


def command(town: Town, slept: Callable[[float], None] = lambda seconds: None) -> Run:
    def run(*args: str) -> Any:
        session = Session(sleep=slept)
        session.__dict__["client"] = type("Client", (), {"connection": Connection(town)})
        return CliRunner().invoke(app, ["--by", "jo", *args], obj=session)

    return run


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)


def test_everything_is_on_one_screen_and_who_is_needed_comes_first() -> None:
    town = busy()
    found = command(town)("status")
    assert found.exit_code == 0, found.output
    (proposal,) = [one.name for one in town.look().needs if one.kind == "proposal"]
    assert found.stdout == SCREEN.replace("PROPOSAL", proposal)
    assert len(found.stdout.splitlines()) < 50


def test_as_json_it_is_the_model() -> None:
    town = busy()
    found = command(town)("status", "-o", "json")
    assert found.exit_code == 0
    assert Everything.model_validate_json(found.stdout) == town.look()
    assert json.loads(found.stdout)["deployments"][0]["service"] == "checkout"


def test_a_quiet_account_says_so() -> None:
    found = command(Town())("status")
    assert found.exit_code == 0
    assert "nothing is under way, and nobody is needed" in found.stdout


def test_what_is_not_deployed_or_may_not_be_read_is_said_and_no_error() -> None:
    town = busy()
    del town.dynamodb.tables[EXPERIMENTS]
    town.dynamodb.failing[FLAGS] = error("AccessDeniedException")
    found = command(town)("status")
    assert found.exit_code == 0
    assert "not deployed here: A/B tests\n" in found.stdout
    assert "not told: flags: you may not read its table\n" in found.stdout


def test_a_text_of_others_stays_in_its_line_and_commands_no_terminal() -> None:
    town = Town()
    town.deploys("shop", phase="held", reason="\x1b[2J" + "very long\n" * 30)
    found = command(town)("status")
    assert "\x1b" not in found.stdout
    held = next(line for line in found.stdout.splitlines() if "held" in line)
    assert len(held) < 160
    assert "…" in held


def none_answers(town: Town) -> None:
    failure = error("ThrottlingException")
    town.dynamodb.failing.update(dict.fromkeys(town.dynamodb.tables, failure))


def test_what_could_not_be_read_is_not_said_to_be_quiet() -> None:
    town = Town()
    town.dynamodb.failing[TABLE] = error("ThrottlingException")
    found = command(town)("status")
    assert found.exit_code == 0
    assert "nobody is needed" not in found.stdout
    assert "nothing is under way in what could be read\n" in found.stdout
    assert "not told: deployments: its table did not answer: ThrottlingException\n" in found.stdout


def test_a_test_of_another_version_is_named_and_not_in_the_way() -> None:
    town = busy()
    item = {**key(TESTS, f"{TEST}later"), "body": {"B": gzip.compress(b"{}")}}
    town.dynamodb.tables[EXPERIMENTS].put_item(TableName=EXPERIMENTS, Item=item)
    found = town.look()
    assert [one.part for one in found.untold] == ["experiments: later"]
    assert found.tests


def test_watching_prints_again_what_is_otherwise_and_outlives_a_failing_look() -> None:
    town = Town()
    town.deploys("shop", step=0, weight=10)
    looks = []

    def slept(seconds: float) -> None:
        looks.append(seconds)
        match len(looks):
            case 2:
                none_answers(town)
            case 3:
                town.dynamodb.failing.clear()
                record = town.stores.deployments.record("shop")
                assert record is not None
                town.stores.deployments.update(record, {"step": 1, "weight": 50})
            case 5:
                raise KeyboardInterrupt

    found = command(town, slept)("status", "--watch")
    assert found.exit_code == 130
    assert found.stdout.count("shop-1") == 2
    assert "50 %" in found.stdout
    assert "trying again" in found.stderr


def test_where_nothing_is_deployed_that_is_all_it_says() -> None:
    town = Town()
    town.dynamodb.tables.clear()
    found = command(town)("status")
    assert found.exit_code == 0
    assert found.stdout.splitlines()[1:] == [
        "Greenlane is not deployed here: none of its tables is there"
    ]


def test_on_a_terminal_the_screen_is_drawn_anew() -> None:
    town = Town()
    town.deploys("shop", step=0, weight=10)
    drawn = io.StringIO()

    def slept(seconds: float) -> None:
        if town.now > NOW:
            raise KeyboardInterrupt
        town.go(minutes=2)

    session = Session(sleep=slept)
    session.__dict__["client"] = type("Client", (), {"connection": Connection(town)})
    session.__dict__["console"] = SafeConsole(file=drawn, force_terminal=True, width=120)
    found = CliRunner().invoke(app, ["status", "-w"], obj=session)
    assert found.exit_code == 130
    assert "12:00:00" in drawn.getvalue()
    assert "12:02:00" in drawn.getvalue()


def test_watching_gives_up_on_what_does_not_answer() -> None:
    town = Town()
    none_answers(town)
    found = command(town)("status", "--watch")
    assert found.exit_code not in (0, 130)
    assert found.stderr.count("trying again") == 4


def test_spans_are_as_exact_as_one_wants_them() -> None:
    town = Town()
    for number, age in enumerate(
        (
            timedelta(seconds=-5),
            timedelta(seconds=59),
            timedelta(minutes=59, seconds=59),
            timedelta(hours=5, minutes=3, seconds=2),
            timedelta(days=3, hours=2, minutes=59),
        )
    ):
        town.deploys(f"shop-{number}", started_at=NOW - age)
    lines = [
        line.split() for line in everything_view(town.look()).plain.splitlines() if "shop-" in line
    ]
    assert [line[-1] for line in lines] == ["0s", "59s", "59m59s", "5h3m", "3d2h"]


def test_an_error_of_ours_is_no_traceback() -> None:
    town = Town()
    town.dynamodb.failing[FLAGS] = GreenlaneError("a test says so")
    found = command(town)("status")
    assert found.exit_code != 0
    assert "Traceback" not in found.stderr
