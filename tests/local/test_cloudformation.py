"""What CloudFormation makes of a template, and of a changed one."""

import json
from typing import Any

from tests.local.emulators import Api, Emulator, deploy


def settings(emulator: Emulator) -> tuple[Any, Any, Any]:
    """Return the expiry, recovery and encryption of the table that asks for all three."""
    dynamodb = emulator.root("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName="tenants")["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName="tenants")
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    encryption = dynamodb.describe_table(TableName="tenants")["Table"].get("SSEDescription")
    return (
        (expiry["TimeToLiveStatus"], expiry.get("AttributeName")),
        recovery["PointInTimeRecoveryStatus"],
        encryption and (encryption["Status"], encryption["KMSMasterKeyArn"]),
    )


def test_table_settings_are_applied(stock: Emulator, ours: Emulator) -> None:
    """A table gets the expiry, recovery and encryption its template asks for."""
    assert settings(stock) == (("DISABLED", None), "DISABLED", None)
    key = ours.outputs["Seal"]
    assert settings(ours) == (("ENABLED", "ttl"), "ENABLED", ("ENABLED", key))


def changing(answer: str) -> str:
    """Return a template whose API answers every call with *answer*."""
    integration = {
        "type": "mock",
        "requestTemplates": {"application/json": '{"statusCode": 200}'},
        "responses": {
            "200": {"statusCode": "200", "responseTemplates": {"application/json": answer}}
        },
    }
    any_method = {
        "x-amazon-apigateway-any-method": {"x-amazon-apigateway-integration": integration}
    }
    body = {"swagger": "2.0", "info": {"title": "changing"}, "paths": {"/{any+}": any_method}}
    resources = {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": body}},
        f"Deployment{answer}": {
            "Type": "AWS::ApiGateway::Deployment",
            "Properties": {"RestApiId": {"Ref": "Api"}},
        },
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "DeploymentId": {"Ref": f"Deployment{answer}"},
                "StageName": "v1",
            },
        },
    }
    return json.dumps({"Resources": resources, "Outputs": {"Api": {"Value": {"Ref": "Api"}}}})


def test_changed_definition_keeps_the_api(stock: Emulator, ours: Emulator) -> None:
    """A changed Body is served by the same API, under the same id."""

    def ids(emulator: Emulator) -> list[str]:
        return [deploy(emulator.port, changing(each), "changing")["Api"] for each in ("1", "2")]

    before, after = ids(stock)
    assert before != after
    before, after = ids(ours)
    assert before == after
    behind_the_endpoint = Api(ours.port, f"/_aws/execute-api/{after}/v1")
    assert behind_the_endpoint.send("GET", "/x").body == b"2"
