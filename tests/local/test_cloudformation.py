"""What CloudFormation makes of a template, and of a changed one."""

import json
from typing import Any

import pytest

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


def nested(emulator: Emulator, description: str) -> str:
    """Return a template around a nested stack: a table, and a topic that says *description*."""
    key = {"AttributeName": "pk", "KeyType": "HASH"}
    table = {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [key],
    }
    inner = {
        "Resources": {
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": table},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": description}},
        },
        "Outputs": {"TableArn": {"Value": {"Fn::GetAtt": ["Table", "Arn"]}}},
    }
    s3, bucket, name = emulator.root("s3"), "templates", f"{description}.json"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=name, Body=json.dumps(inner))
    url = f"http://127.0.0.1:{emulator.port}/{bucket}/{name}"
    stack = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}
    output = {"Value": {"Fn::GetAtt": ["Inner", "Outputs.TableArn"]}}
    return json.dumps({"Resources": {"Inner": stack}, "Outputs": {"TableArn": output}})


def test_unchanged_resource_of_a_nested_stack_keeps_its_attributes(
    stock: Emulator, ours: Emulator
) -> None:
    """An output made of a resource that a nested update leaves alone is what it was."""
    deploy(stock.port, nested(stock, "before"), "outer")
    with pytest.raises(AssertionError, match="does not exist in schema"):
        deploy(stock.port, nested(stock, "after"), "outer")
    before = deploy(ours.port, nested(ours, "before"), "outer")
    assert deploy(ours.port, nested(ours, "after"), "outer") == before
    assert ":table/" in before["TableArn"]
