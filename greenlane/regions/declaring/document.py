"""From a file of Regions to a checked document, with line numbers for what is wrong."""

from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.documents import load, read
from greenlane.regions.declaring.lints import assumptions_of, problems_of, strict_problems_of
from greenlane.regions.declaring.model import RegionsDocument

KEY = "regions"
"""The top-level key that makes a file one of Regions."""


class CheckedRegions(StoredModel):
    """A file of Regions without a problem.

    Args:
        file: its name.
        kind: what it is.
        regions: their names.
        warnings: what was assumed.
    """

    file: str
    kind: Literal["regions"] = "regions"
    regions: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def is_regions(text: str, name: str = "document") -> bool:
    """Whether a file is one of Regions; raises `InvalidDocument` when it is no YAML."""
    return KEY in load(text, name).data


def read_regions(
    text: str, name: str = "document", *, strict_zones: bool = False
) -> RegionsDocument:
    """Read a file whose top-level key is `regions`, without a cloud.

    Args:
        text: the file.
        name: what to call it.
        strict_zones: refuse abbreviations of time zones that something has to be assumed of.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
    """
    lints = strict_problems_of if strict_zones else problems_of
    return read(RegionsDocument, lints, text, name)


def check_regions(text: str, name: str = "document") -> CheckedRegions:
    """Read a file of Regions by itself, without a cloud; raises `InvalidDocument`."""
    document = read_regions(text, name)
    return CheckedRegions(
        file=name, regions=tuple(document.regions), warnings=assumptions_of(document)
    )
