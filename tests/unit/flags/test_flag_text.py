"""Text of flags that nothing could tell again: one half of a character alone."""

import json

import pytest

from greenlane.errors import InvalidInput
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.definitions.flagd import import_flagd
from greenlane.flags.definitions.model import Flag
from greenlane.flags.reading.reader import Reader
from greenlane.flags.sdk.manager import FeatureFlagManager
from greenlane.flags.storing import keeping
from greenlane.problems import InvalidDocument
from tests.flag_store import NOW, memory_store
from tests.unit.flags.reading import Shelf

HALF = "x\ud800"
ESCAPED = r'"x\ud800"'


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ("metadata: {owner: %s}", "metadata.owner"),
        ("metadata: {%s: me}", "metadata"),
        ("user_groups: [beta, %s]", "user_groups.1"),
        ("targeting: {user_attributes: [{plan: %s}]}", "targeting.user_attributes.0.plan"),
        ("salt: %s", "salt"),
        ("variants: {on: true, off: false, %s: true}", "variants"),
        ("{type: object, variants: {on: {a: [%s]}, off: {}}}", "variants.on.a.0"),
        ("rules: [{id: r, serve: on, when: {attribute: a, value: %s}}]", "rules.0.when.value"),
        ("%s: 1", ""),
    ],
)
def test_half_a_character_in_a_file_is_refused_with_field_value_line_and_way_out(keys, field):
    keys = keys % ESCAPED
    text = (
        f"feature_flags:\n  a:\n    {keys}\n" if keys[0] != "{" else f"feature_flags: {{a: {keys}}}"
    )
    with pytest.raises(InvalidDocument) as caught:
        read_flags(text, "flags.yaml")
    (problem,) = caught.value.problems
    assert problem.field == f"feature_flags.a.{field}".rstrip(".")
    assert (problem.value, problem.line) == (HALF, text.count("\n") or 1)
    assert "write the character itself, or both halves" in problem.way_out
    str(caught.value).encode()  # a terminal can print it


def test_both_halves_are_the_character_as_json_writes_it():
    text = json.dumps(
        {"feature_flags": {"a": {"user_groups": ["\U0001f600"], "salt": "\U0001f600"}}}
    )
    assert r"\ud83d\ude00" in text
    flag = read_flags(text).feature_flags["a"]
    assert (flag.user_groups, flag.salt) == (("\U0001f600",), "\U0001f600")


@pytest.mark.parametrize(
    "flag",
    [
        {"metadata": {"owner": HALF}},
        {"metadata": {HALF: "me"}},
        {"user_groups": ["\ud83d\ude00"]},
        {"type": "object", "variants": {"on": {"a": [HALF]}, "off": {}}},
        {"per_environment": {HALF: {}}},
    ],
)
def test_half_a_character_from_python_is_not_stored(flag):
    store = memory_store()
    with pytest.raises(InvalidInput, match="one half of a character is no text") as caught:
        keeping.put_flag(store, "a", Flag.model_validate(flag), by="ada", at=NOW)
    str(caught.value).encode()
    assert store.read().version == 0


def test_nor_is_a_key_that_is_changed():
    store = memory_store()
    keeping.put_flag(store, "a", Flag(), by="ada", at=NOW)
    flags = FeatureFlagManager(Reader(Shelf(), "production"), store=store)
    with pytest.raises(InvalidInput, match="feature_flags.a.metadata.owner"):
        flags.update_flag("a", {"metadata": {"owner": HALF}}, by="ada")


def test_flagds_json_is_refused_too():
    flag = {"state": "ENABLED", "variants": {"on": HALF}, "defaultVariant": "on"}
    with pytest.raises(InvalidDocument, match="one half of a character is no text"):
        import_flagd({"flags": {"a": flag}})


def test_a_flag_goes_off_whatever_bytes_its_reason_has_and_the_audit_can_be_read():
    store = memory_store()
    keeping.put_flag(store, "a", Flag(), by="ada", at=NOW, reason="\udcff ok")
    keeping.disable(store, "a", by="ad\udce4", at=NOW, reason="it burns \udcff")
    stored = store.read().flags["a"]
    assert stored.state("*").retreated == "disabled by ad?: it burns ?"
    assert [(entry.by, entry.reason) for entry in store.audit()] == [
        ("ad?", "it burns ?"),
        ("ada", "? ok"),
    ]
