"""An Alertmanager inside the VPC: our functions live outside, so one that lives inside posts.

That one calls no AWS API, for none can be reached from there. It posts alerts, and to nothing but
the path of an Alertmanager.
"""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict

from greenlane.people import posting
from greenlane.people.alertmanager import address
from greenlane.people.channel import Untold
from greenlane.people.posting import Answer, Post
from greenlane.runtime import Runtime

FUNCTION = "greenlane-post-alerts"


class Alerts(BaseModel):
    """Alerts, and the base address of the Alertmanager that they are for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    alert_manager: str
    alerts: list[dict[str, Any]]


class Posted(BaseModel):
    """The status that it answered with; or why there was no answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: int | None = None
    problem: str = ""
    again: bool = True


def post_alerts(alerts: Alerts, runtime: Runtime, *, post: Post = posting.post) -> Posted:
    """Post alerts from inside the VPC; why it could not is an answer as well."""
    del runtime
    body = json.dumps(alerts.alerts).encode()
    try:
        return Posted(status=post(address(alerts.alert_manager), body, {}).status)
    except Untold as error:
        return Posted(problem=error.why, again=error.again)


def hand_over(runtime: Runtime, url: str, alerts: list[dict[str, Any]]) -> Answer:
    """Have alerts posted from inside the VPC, and wait for the answer.

    Raises:
        Untold: there was none.
    """
    payload = Alerts(alert_manager=url, alerts=alerts).model_dump_json()
    try:
        answer = runtime.relay.invoke(FunctionName=FUNCTION, Payload=payload.encode())
        text = answer["Payload"].read()
    except (ClientError, BotoCoreError) as error:
        raise Untold(f"{FUNCTION}: {type(error).__name__}", again=True) from None
    if answer.get("FunctionError"):
        raise Untold(f"{FUNCTION} failed", again=True)
    posted = Posted.model_validate_json(text)
    if posted.status is None:
        raise Untold(posted.problem, again=posted.again)
    return Answer(posted.status)
