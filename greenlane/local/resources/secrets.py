"""Secrets: made up by Secrets Manager, or given in the template."""

from typing import Any

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site, chosen, given_tags

_MADE_UP = "GenerateSecretString"
_OF_PASSWORDS = (
    "ExcludeCharacters",
    "ExcludeLowercase",
    "ExcludeNumbers",
    "ExcludePunctuation",
    "ExcludeUppercase",
    "IncludeSpace",
    "PasswordLength",
    "RequireEachIncludedType",
)


def _value(site: Site, properties: Properties) -> dict[str, str]:
    """What is in the secret; nothing if the template says nothing."""
    wanted = properties.get(_MADE_UP)
    if wanted is None:
        return chosen(properties, "SecretString")
    client = site.client("secretsmanager")
    word = client.get_random_password(**chosen(wanted, *_OF_PASSWORDS))["RandomPassword"]
    return {"SecretString": str(word)}


def _secret(site: Site, properties: Properties) -> Live:
    made: Any = site.client("secretsmanager").create_secret(
        Name=properties.get("Name") or site.name(512),
        **chosen(properties, "Description"),
        **_value(site, properties),
        **given_tags(properties),
    )
    return Live(made["ARN"], {"Id": made["ARN"]})


def _update_secret(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    """A word that is made up stays as long as the template asks for the same kind."""
    client = site.client("secretsmanager")
    if new.get("Description") != old.get("Description"):
        client.update_secret(SecretId=live.physical_id, Description=new.get("Description", ""))
    if any(new.get(name) != old.get(name) for name in (_MADE_UP, "SecretString")):
        client.put_secret_value(SecretId=live.physical_id, **_value(site, new))
    return live


def _delete_secret(site: Site, live: Live, properties: Properties) -> None:
    """At once, as CloudFormation does it."""
    site.client("secretsmanager").delete_secret(
        SecretId=live.physical_id, ForceDeleteWithoutRecovery=True
    )


TYPES = {
    "AWS::SecretsManager::Secret": ResourceType(
        _secret, _delete_secret, _update_secret, frozenset({"Name"}), "Name"
    ),
}
