"""API Gateway: REST APIs, their methods, deployments and stages, keys and usage plans."""

from collections.abc import Mapping
from typing import Any

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site, camel

_FREE = frozenset({"RequestTemplates", "ResponseTemplates", "ResponseParameters"})


def _arguments(properties: Properties, names: Mapping[str, str]) -> dict[str, Any]:
    """Properties as arguments of an API call, under that call's names."""
    return {
        argument: properties[name] if name in _FREE else camel(properties[name])
        for name, argument in names.items()
        if name in properties
    }


def _api(site: Site, properties: Properties) -> Live:
    made = site.client("apigateway").create_rest_api(
        name=properties.get("Name") or site.name(),
        **_arguments(
            properties,
            {
                "Description": "description",
                "ApiKeySourceType": "apiKeySource",
                "EndpointConfiguration": "endpointConfiguration",
            },
        ),
    )
    return Live(made["id"], {"RootResourceId": made["rootResourceId"], "RestApiId": made["id"]})


def _update_api(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("apigateway").update_rest_api(
        restApiId=live.physical_id,
        patchOperations=[
            {"op": "replace", "path": f"/{name.lower()}", "value": new.get(name, "")}
            for name in ("Name", "Description")
        ],
    )
    return live


def _delete_api(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_rest_api(restApiId=live.physical_id)


def _resource(site: Site, properties: Properties) -> Live:
    made = site.client("apigateway").create_resource(
        restApiId=properties["RestApiId"],
        parentId=properties["ParentId"],
        pathPart=properties["PathPart"],
    )
    return Live(made["id"], {"ResourceId": made["id"]})


def _delete_resource(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_resource(
        restApiId=properties["RestApiId"], resourceId=live.physical_id
    )


def _method(site: Site, properties: Properties) -> Live:
    _put_method(site, properties)
    return Live(site.name())


def _place(properties: Properties) -> dict[str, str]:
    names = {"RestApiId": "restApiId", "ResourceId": "resourceId", "HttpMethod": "httpMethod"}
    return {argument: properties[name] for name, argument in names.items()}


def _put_method(site: Site, properties: Properties) -> None:
    client, place = site.client("apigateway"), _place(properties)
    client.put_method(
        **place,
        **_arguments(
            properties,
            {
                "AuthorizationType": "authorizationType",
                "ApiKeyRequired": "apiKeyRequired",
                "OperationName": "operationName",
            },
        ),
    )
    for told in properties.get("MethodResponses", []):
        given = _arguments(told, {"ResponseParameters": "responseParameters"})
        client.put_method_response(**place, statusCode=str(told["StatusCode"]), **given)
    integration = properties["Integration"]
    client.put_integration(
        **place,
        type=integration["Type"],
        **_arguments(
            integration,
            {
                "IntegrationHttpMethod": "integrationHttpMethod",
                "Uri": "uri",
                "RequestTemplates": "requestTemplates",
                "TimeoutInMillis": "timeoutInMillis",
            },
        ),
    )
    for told in integration.get("IntegrationResponses", []):
        client.put_integration_response(
            **place,
            statusCode=str(told["StatusCode"]),
            **_arguments(
                told,
                {
                    "SelectionPattern": "selectionPattern",
                    "ResponseParameters": "responseParameters",
                    "ResponseTemplates": "responseTemplates",
                },
            ),
        )


def _update_method(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _put_method(site, new)
    return live


def _delete_method(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_method(**_place(properties))


def _deployment(site: Site, properties: Properties) -> Live:
    made = site.client("apigateway").create_deployment(
        restApiId=properties["RestApiId"],
        **_arguments(properties, {"Description": "description", "StageName": "stageName"}),
    )
    return Live(made["id"], {"DeploymentId": made["id"]})


def _delete_deployment(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_deployment(
        restApiId=properties["RestApiId"], deploymentId=live.physical_id
    )


def _stage(site: Site, properties: Properties) -> Live:
    site.client("apigateway").create_stage(
        restApiId=properties["RestApiId"],
        stageName=properties["StageName"],
        deploymentId=properties["DeploymentId"],
        **_arguments(
            properties, {"Description": "description", "TracingEnabled": "tracingEnabled"}
        ),
    )
    return Live(properties["StageName"])


def _update_stage(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("apigateway").update_stage(
        restApiId=new["RestApiId"],
        stageName=live.physical_id,
        patchOperations=[{"op": "replace", "path": "/deploymentId", "value": new["DeploymentId"]}],
    )
    return live


def _delete_stage(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_stage(
        restApiId=properties["RestApiId"], stageName=live.physical_id
    )


def _key(site: Site, properties: Properties) -> Live:
    made = site.client("apigateway").create_api_key(
        name=properties.get("Name") or site.name(),
        **_arguments(
            properties, {"Description": "description", "Enabled": "enabled", "Value": "value"}
        ),
    )
    return Live(made["id"], {"APIKeyId": made["id"]})


def _update_key(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    values = {
        "description": new.get("Description", ""),
        "enabled": str(bool(new.get("Enabled"))).lower(),
    }
    site.client("apigateway").update_api_key(
        apiKey=live.physical_id,
        patchOperations=[
            {"op": "replace", "path": f"/{name}", "value": value} for name, value in values.items()
        ],
    )
    return live


def _delete_key(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_api_key(apiKey=live.physical_id)


def _plan(site: Site, properties: Properties) -> Live:
    made = site.client("apigateway").create_usage_plan(
        name=properties.get("UsagePlanName") or site.name(),
        apiStages=[
            {"apiId": one["ApiId"], "stage": one["Stage"]}
            for one in properties.get("ApiStages", [])
        ],
        **_arguments(
            properties,
            {"Description": "description", "Throttle": "throttle", "Quota": "quota"},
        ),
    )
    return Live(made["id"], {"Id": made["id"]})


def _update_plan(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    limits = new.get("Throttle", {})
    changes = [
        {"op": "replace", "path": f"/throttle/{camel_name}", "value": str(int(limits[name]))}
        for name, camel_name in (("RateLimit", "rateLimit"), ("BurstLimit", "burstLimit"))
        if name in limits
    ]
    before, after = (
        {f"{one['ApiId']}:{one['Stage']}" for one in plan.get("ApiStages", [])}
        for plan in (old, new)
    )
    changes += [{"op": "add", "path": "/apiStages", "value": one} for one in after - before]
    changes += [{"op": "remove", "path": "/apiStages", "value": one} for one in before - after]
    site.client("apigateway").update_usage_plan(
        usagePlanId=live.physical_id, patchOperations=changes
    )
    return live


def _delete_plan(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_usage_plan(usagePlanId=live.physical_id)


def _plan_key(site: Site, properties: Properties) -> Live:
    site.client("apigateway").create_usage_plan_key(
        usagePlanId=properties["UsagePlanId"],
        keyId=properties["KeyId"],
        keyType=properties["KeyType"],
    )
    return Live(f"{properties['KeyId']}:{properties['UsagePlanId']}")


def _delete_plan_key(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_usage_plan_key(
        usagePlanId=properties["UsagePlanId"], keyId=properties["KeyId"]
    )


def _answer(site: Site, properties: Properties) -> Live:
    site.client("apigateway").put_gateway_response(
        restApiId=properties["RestApiId"],
        responseType=properties["ResponseType"],
        **_arguments(
            properties,
            {
                "StatusCode": "statusCode",
                "ResponseParameters": "responseParameters",
                "ResponseTemplates": "responseTemplates",
            },
        ),
    )
    return Live(f"{properties['RestApiId']}:{properties['ResponseType']}")


def _update_answer(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    return _answer(site, new)


def _delete_answer(site: Site, live: Live, properties: Properties) -> None:
    site.client("apigateway").delete_gateway_response(
        restApiId=properties["RestApiId"], responseType=properties["ResponseType"]
    )


_OF_API = frozenset({"RestApiId"})

TYPES = {
    "AWS::ApiGateway::RestApi": ResourceType(_api, _delete_api, _update_api),
    "AWS::ApiGateway::Resource": ResourceType(_resource, _delete_resource),
    "AWS::ApiGateway::Method": ResourceType(
        _method, _delete_method, _update_method, _OF_API | {"ResourceId", "HttpMethod"}
    ),
    "AWS::ApiGateway::Deployment": ResourceType(_deployment, _delete_deployment),
    "AWS::ApiGateway::Stage": ResourceType(
        _stage, _delete_stage, _update_stage, _OF_API | {"StageName"}, "StageName"
    ),
    "AWS::ApiGateway::ApiKey": ResourceType(
        _key, _delete_key, _update_key, frozenset({"Name", "Value"})
    ),
    "AWS::ApiGateway::UsagePlan": ResourceType(_plan, _delete_plan, _update_plan),
    "AWS::ApiGateway::UsagePlanKey": ResourceType(_plan_key, _delete_plan_key),
    "AWS::ApiGateway::GatewayResponse": ResourceType(
        _answer, _delete_answer, _update_answer, _OF_API | {"ResponseType"}
    ),
}
