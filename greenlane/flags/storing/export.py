"""Flags, and A/B tests, as the YAML that `greenlane apply` takes."""

import re
from typing import Any

import yaml
from pydantic import BaseModel

from greenlane.flags.storing.state import as_written

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class _Dumper(yaml.SafeDumper):
    """Quotes whatever any version of YAML could read as something else than text."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS and len(text) < 80
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def to_yaml(document: BaseModel, kind: str = "feature_flags") -> str:
    """A document as YAML that reads as the same again, with the keys that were written.

    Args:
        document: a file's content.
        kind: the key that says what kind of file it is.
    """
    written: dict[str, Any] = {
        name: part for name, part in as_written(document).items() if part or name == kind
    }
    text: str = yaml.dump(written, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
