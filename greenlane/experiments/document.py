"""From a file of A/B tests to checked definitions, with line numbers for what is wrong."""

from greenlane.documents import load, validate
from greenlane.experiments.lints import problems_of
from greenlane.experiments.model import ExperimentsDocument
from greenlane.problems import InvalidDocument


def read_experiments(text: str, name: str = "document") -> ExperimentsDocument:
    """Read a file whose top-level key is `ab_tests`, without a cloud.

    Args:
        text: the file.
        name: what to call it.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
    """
    source = load(text, name)
    document = validate(ExperimentsDocument, source)
    problems = problems_of(document, source)
    if problems:
        raise InvalidDocument(source.name, problems)
    return document
