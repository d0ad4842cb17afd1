"""From a file of A/B tests to checked definitions, with line numbers for what is wrong."""

from greenlane.documents import read
from greenlane.experiments.lints import problems_of
from greenlane.experiments.model import ExperimentsDocument


def read_experiments(text: str, name: str = "document") -> ExperimentsDocument:
    """Read a file whose top-level key is `ab_tests`, without a cloud.

    Args:
        text: the file.
        name: what to call it.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
    """
    return read(ExperimentsDocument, problems_of, text, name)
