"""A template's secret is made up once, changes when it is asked to, and goes with its stack."""

from pathlib import Path
from typing import Any

import pytest

from greenlane.local.deploy import Artifact, Deployer
from tests.unit.local.conftest import Account

NAME = "greenlane/of-a-template"


class Secrets:
    """One stack with one secret."""

    def __init__(self, account: Account, directory: Path) -> None:
        self.deployer = Deployer(account.cloud)
        self.directory = directory
        self.client = account.client("secretsmanager")

    def deploy(self, **properties: Any) -> None:
        secret = {"Type": "AWS::SecretsManager::Secret", "Properties": properties}
        place = {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/of-a-secret", "Type": "String", "Value": {"Ref": "Secret"}},
        }
        template = {"Resources": {"Secret": secret, "Place": place}}
        self.deployer.deploy(Artifact("Secrets", self.directory, template, {}))

    @property
    def word(self) -> str:
        return str(self.client.get_secret_value(SecretId=NAME)["SecretString"])


@pytest.fixture
def secrets(account: Account, tmp_path: Path) -> Secrets:
    return Secrets(account, tmp_path)


def test_a_word_is_made_up_as_asked_and_stays_when_something_else_changes(
    secrets: Secrets, account: Account
) -> None:
    asked = {"PasswordLength": 40, "ExcludePunctuation": True}
    secrets.deploy(Name=NAME, Description="one", GenerateSecretString=asked)
    first = secrets.word
    secrets.deploy(Name=NAME, Description="two", GenerateSecretString=asked)

    assert (len(first), first.isalnum()) == (40, True)
    assert secrets.word == first
    found = secrets.client.describe_secret(SecretId=NAME)
    assert found["Description"] == "two"
    kept = account.client("ssm").get_parameter(Name="/of-a-secret")["Parameter"]["Value"]
    assert kept == found["ARN"], "Ref is the ARN"

    secrets.deploy(Name=NAME, GenerateSecretString={**asked, "PasswordLength": 41})
    assert len(secrets.word) == 41
    secrets.deployer.delete("Secrets")


def test_a_given_word_is_taken_and_a_name_is_free_again_at_once(secrets: Secrets) -> None:
    secrets.deploy(Name=NAME, SecretString="given")
    assert secrets.word == "given"
    secrets.deploy(Name=NAME, SecretString="another")
    assert secrets.word == "another"

    secrets.deployer.delete("Secrets")
    with pytest.raises(secrets.client.exceptions.ResourceNotFoundException):
        assert secrets.word
    secrets.deploy(Name=NAME, SecretString="again")
    assert secrets.word == "again"
    secrets.deployer.delete("Secrets")
