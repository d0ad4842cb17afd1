"""A lookup as it is usually written: Powertools, a resolver, boto3's resource, pydantic.

It answers the same question from the same table by the same engine as `functions/look_up_flags.py`,
so what differs is what a cold start imports and makes.
"""

import json
import os
import time
import zlib
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from pydantic import BaseModel

from greenlane.flags.evaluating.engine import Engine

logger, tracer, metrics = Logger(), Tracer(), Metrics(namespace="Flags")
app = APIGatewayRestResolver()
table: Any = boto3.resource("dynamodb").Table(os.environ["FLAGS_TABLE"])


class Body(BaseModel):
    """What is asked."""

    context: dict[str, Any]


@app.post("/ofrep/v1/evaluate/flags/<key>")
def look_up(key: str) -> dict[str, Any]:
    """One flag."""
    body = Body.model_validate(app.current_event.json_body)
    item = table.get_item(Key={"pk": "snapshot#production", "sk": "snapshot"})["Item"]
    snapshot = json.loads(zlib.decompress(bytes(item["body"]), 31))
    found = Engine(snapshot).evaluate(key, body.context, time.time())
    return {"key": key, "value": found.value, "reason": found.reason, "variant": found.variant}


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
