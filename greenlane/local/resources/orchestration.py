"""State machines, and the rules that start things."""

import json
import re
from typing import Any

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import (
    Properties,
    ResourceType,
    Site,
    camel,
    chosen,
    given_tags,
)


def _machine(site: Site, properties: Properties) -> Live:
    machine = site.client("stepfunctions").create_state_machine(
        name=properties.get("StateMachineName") or site.name(80),
        definition=_definition(properties),
        roleArn=properties["RoleArn"],
        type=properties.get("StateMachineType", "STANDARD"),
        **given_tags(properties, camel_case=True),
        **_observation(properties),
    )
    arn = machine["stateMachineArn"]
    return Live(arn, {"Arn": arn, "Name": arn.rsplit(":", 1)[1]})


def _definition(properties: Properties) -> str:
    """The definition with its substitutions made, as CloudFormation makes them."""
    if "DefinitionString" in properties:
        text = properties["DefinitionString"]
    else:
        text = json.dumps(properties["Definition"])
    substitutions = properties.get("DefinitionSubstitutions", {})

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return str(substitutions[name]) if name in substitutions else match.group(0)

    return re.sub(r"\$\{(\w+)\}", value, text)


def _observation(properties: Properties) -> dict[str, Any]:
    names = {
        "LoggingConfiguration": "loggingConfiguration",
        "TracingConfiguration": "tracingConfiguration",
    }
    return {api: camel(properties[name]) for name, api in names.items() if name in properties}


def _update_machine(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("stepfunctions").update_state_machine(
        stateMachineArn=live.physical_id,
        definition=_definition(new),
        roleArn=new["RoleArn"],
        **_observation(new),
    )
    return live


def _delete_machine(site: Site, live: Live, properties: Properties) -> None:
    site.client("stepfunctions").delete_state_machine(stateMachineArn=live.physical_id)


def _rule(site: Site, properties: Properties) -> Live:
    name = properties.get("Name") or site.name()
    arn = _put_rule(site, name, properties)
    return Live(name, {"Arn": arn})


def _put_rule(site: Site, name: str, properties: Properties) -> str:
    events = site.client("events")
    pattern = properties.get("EventPattern")
    arn: str = events.put_rule(
        Name=name,
        **({"EventPattern": json.dumps(pattern)} if pattern else {}),
        **chosen(
            properties, "Description", "EventBusName", "RoleArn", "ScheduleExpression", "State"
        ),
    )["RuleArn"]
    if properties.get("Targets"):
        events.put_targets(
            Rule=name, Targets=properties["Targets"], **chosen(properties, "EventBusName")
        )
    return arn


def _update_rule(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _put_rule(site, live.physical_id, new)
    kept = {target["Id"] for target in new.get("Targets", [])}
    gone = [one["Id"] for one in old.get("Targets", []) if one["Id"] not in kept]
    if gone:
        site.client("events").remove_targets(
            Rule=live.physical_id, Ids=gone, **chosen(new, "EventBusName")
        )
    return live


def _delete_rule(site: Site, live: Live, properties: Properties) -> None:
    events = site.client("events")
    bus = chosen(properties, "EventBusName")
    if properties.get("Targets"):
        identifiers = [target["Id"] for target in properties["Targets"]]
        events.remove_targets(Rule=live.physical_id, Ids=identifiers, **bus)
    events.delete_rule(Name=live.physical_id, **bus)


TYPES = {
    "AWS::StepFunctions::StateMachine": ResourceType(
        _machine,
        _delete_machine,
        _update_machine,
        frozenset({"StateMachineName", "StateMachineType"}),
        "StateMachineName",
    ),
    "AWS::Events::Rule": ResourceType(
        _rule, _delete_rule, _update_rule, frozenset({"Name", "EventBusName"}), "Name"
    ),
}
