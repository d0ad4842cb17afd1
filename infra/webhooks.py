"""The secret by which webhooks are known."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from greenlane.rollback.http.webhook_secret import NAME
from infra.nag import acknowledge

LENGTH = 48
"""Of 62 letters and digits each: nobody guesses one in the time that there is."""


def webhook_secret(scope: Construct) -> secretsmanager.Secret:
    """A secret that Secrets Manager makes up, so that it stands in no template."""
    secret = secretsmanager.Secret(
        scope,
        "Webhooks",
        secret_name=NAME,
        description="What monitoring sends with webhooks: Authorization: Bearer SECRET",
        generate_secret_string=secretsmanager.SecretStringGenerator(
            password_length=LENGTH, exclude_punctuation=True
        ),
        # Nothing is lost with it but a word, and a kept one would keep the next stack from its
        # name: CloudFormation deletes secrets at once, without a time to recover.
        removal_policy=RemovalPolicy.DESTROY,
    )
    acknowledge(
        secret,
        "SMG4",
        "Whoever sends webhooks has to be told the new word, which no rotation here can do. The "
        "word before is accepted too, so a person can rotate it without losing an alert.",
    )
    return secret
