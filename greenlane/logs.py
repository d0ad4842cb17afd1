"""The one structured logger of the functions.

On a laptop the same code speaks through its callers; only errors that nobody else reports are
written there, and to stderr, for stdout belongs to the command.
"""

import os
import sys

from aws_lambda_powertools import Logger

_IN_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME" in os.environ

# Its name must not be a package of ours, or it would take that package's records for its own.
logger = Logger(
    service="greenlane-functions",
    level=os.environ.get("LOG_LEVEL", "INFO") if _IN_LAMBDA else "ERROR",
    stream=sys.stderr,
)
