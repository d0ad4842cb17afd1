"""From a file of feature flags to checked definitions, with line numbers for what is wrong."""

from greenlane.documents import load, validate
from greenlane.flags.definitions.lints import problems_of
from greenlane.flags.definitions.model import FlagsDocument
from greenlane.problems import InvalidDocument


def read_flags(text: str, name: str = "document") -> FlagsDocument:
    """Read a file whose top-level key is `feature_flags`, without a cloud.

    Args:
        text: the file.
        name: what to call it.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
    """
    source = load(text, name)
    document = validate(FlagsDocument, source)
    problems = problems_of(document, source)
    if problems:
        raise InvalidDocument(source.name, problems)
    return document
