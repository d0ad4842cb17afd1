"""The one structured logger of all functions."""

from aws_lambda_powertools import Logger

logger = Logger(service="greenlane")
