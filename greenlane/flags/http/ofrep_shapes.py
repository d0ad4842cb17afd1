"""The shapes of OpenFeature's remote evaluation protocol, as JSON schemas for the API's document.

The protocol's own schema cannot be met: each answer with a value fits two branches of its `oneOf`.
These say what is really sent.
"""

from typing import Any

KEY: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "examples": ["new_checkout"],
    "description": "The flag's key, or an A/B test's name.",
}

REQUEST: dict[str, Any] = {
    "title": "EvaluationRequest",
    "type": "object",
    "properties": {
        "context": {
            "type": "object",
            "description": "What is known of the user.",
            "properties": {
                "targetingKey": {
                    "type": ["string", "integer", "null"],
                    "description": "Tells users apart where a share of them is served.",
                }
            },
        }
    },
    "examples": [{"context": {"targetingKey": "user-1", "country": "de"}}],
}

FLAG: dict[str, Any] = {
    "title": "EvaluatedFlag",
    "type": "object",
    "required": ["key", "reason", "variant", "metadata"],
    "properties": {
        "key": {"type": "string"},
        "value": {
            "type": ["boolean", "string", "number", "object"],
            "description": "Left out where the code's own default counts: the flag is off.",
        },
        "reason": {
            "enum": ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "DEFAULT", "STALE"],
            "description": "STALE: the store could not be asked, so it may be out of date.",
        },
        "variant": {"type": "string"},
        "metadata": {
            "type": "object",
            "description": "The flag's own, with `ruleId` and `bucket` where a rule served; of an "
            "A/B test `experiment`, `run`, `why`, `takesPart` and `epoch`.",
            "additionalProperties": {"type": ["boolean", "string", "number"]},
        },
    },
    "additionalProperties": False,
}


def _failure(*codes: str, key: bool) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "type": "object",
        "required": ["errorCode", "errorDetails"],
        "properties": {
            "key": {"type": "string"},
            "errorCode": {"enum": list(codes)},
            "errorDetails": {"type": "string", "minLength": 1},
        },
    }
    if key:
        shape["required"] = ["key", *shape["required"]]
    return shape


FAILURE = _failure(
    "PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL", key=True
) | {"title": "EvaluationFailure"}
NOT_FOUND = _failure("FLAG_NOT_FOUND", key=True) | {"title": "FlagNotFound"}
BULK_FAILURE = _failure("PARSE_ERROR", "INVALID_CONTEXT", "GENERAL", key=False) | {
    "title": "BulkEvaluationFailure"
}

BULK: dict[str, Any] = {
    "title": "BulkEvaluation",
    "type": "object",
    "required": ["flags", "metadata"],
    "properties": {
        "flags": {
            "type": "array",
            "description": "Every flag and A/B test: what it is for the user, or why it cannot be "
            "told.",
            "items": {"anyOf": [FLAG, FAILURE]},
        },
        "metadata": {
            "type": "object",
            "required": ["version", "environment"],
            "properties": {
                "version": {"type": "string"},
                "environment": {"type": "string"},
                "experiments": {
                    "type": "string",
                    "description": "The version of the tests; 0 while they cannot be read.",
                },
            },
        },
    },
    "additionalProperties": False,
}

GATEWAY_FAILURE: dict[str, Any] = {
    "title": "GatewayFailure",
    "description": "What API Gateway itself refuses, in the words of both halves of this API.",
    "type": "object",
    "required": ["key", "errorCode", "errorDetails", "title", "detail"],
    "properties": {
        "key": {"type": "string"},
        "errorCode": {"enum": ["GENERAL"]},
        "errorDetails": {"type": "string"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
    },
}
