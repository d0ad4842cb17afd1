import pytest
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.cli.session import Session
from tests.unit.cli.fake_cloud import FakeClient, record_of, status_of


@pytest.fixture
def client():
    return FakeClient()


@pytest.fixture
def slept():
    return []


@pytest.fixture
def run(client, slept, monkeypatch):
    """Runs one command line against the fake cloud; the result has stdout, stderr, exit_code."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)

    def run(*args):
        session = Session(sleep=slept.append)
        session.__dict__["client"] = client
        return CliRunner().invoke(app, ["--by", "jo", *args], obj=session)

    return run


@pytest.fixture
def ended():
    def ended(name, **values):
        phase = {
            "succeeded": "watching",
            "rolled_back": "rolled_back",
            "held": "held",
            "refused": "refused",
        }[name]
        return status_of(record_of(phase, reason="because", **values))

    return ended
