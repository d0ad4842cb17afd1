"""From a file of feature flags to checked definitions, with line numbers for what is wrong."""

from greenlane.documents import read
from greenlane.errors import InvalidInput
from greenlane.flags.definitions.lints import problems_of, unprotecting
from greenlane.flags.definitions.model import FlagsDocument
from greenlane.source import Source


def read_flags(text: str, name: str = "document") -> FlagsDocument:
    """Read a file whose top-level key is `feature_flags`, without a cloud.

    Args:
        text: the file.
        name: what to call it.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
    """
    return read(FlagsDocument, _problems, text, name)


def _problems(document: FlagsDocument, source: Source) -> list[InvalidInput]:
    protected = document.approvals.environments if document.approvals else ()
    return problems_of(document, source) + unprotecting(document, source, new=protected)
