"""A bucket's Object Lock is applied.

AWS: `ObjectLockEnabled` and `ObjectLockConfiguration` of AWS::S3::Bucket turn on Object Lock and
its default retention (CloudFormation template reference). Stock: drops both, so that what the
template locks can be deleted. Here: applied when the bucket is made and when it changes.
"""

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ministack.services import s3
from ministack.services.cloudformation import provisioners

from infra.local.stock import accept, require, take

BUCKET = "AWS::S3::Bucket"


def close() -> None:
    """Apply the dropped properties after each create and update."""
    require(s3, "_bucket_object_lock", "_put_object_lock_configuration")
    handlers = take(provisioners, "_RESOURCE_HANDLERS")[BUCKET]
    stock_create, stock_update = handlers["create"], handlers["update"]

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        name, attributes = stock_create(logical_id, properties, stack_name)
        _apply(name, properties)
        return name, attributes

    def update(bucket: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> Any:
        name, attributes = stock_update(bucket, old, new, stack_name)
        _apply(name, new)
        return name, attributes

    handlers["create"], handlers["update"] = create, update


def _apply(bucket: str, properties: dict[str, Any]) -> None:
    # CloudFormation passes a template's true as a boolean or as its text.
    if str(properties.get("ObjectLockEnabled")).lower() != "true":
        return
    s3._bucket_object_lock.setdefault(bucket, {"enabled": True, "default_retention": None})
    configuration = properties.get("ObjectLockConfiguration")
    if configuration:
        accept(s3._put_object_lock_configuration(bucket, _xml(configuration)))


def _xml(configuration: dict[str, Any]) -> bytes:
    root = Element("ObjectLockConfiguration", xmlns=s3.S3_NS)
    SubElement(root, "ObjectLockEnabled").text = configuration["ObjectLockEnabled"]
    retention = configuration.get("Rule", {}).get("DefaultRetention")
    if retention:
        default = SubElement(SubElement(root, "Rule"), "DefaultRetention")
        for name, value in retention.items():
            SubElement(default, name).text = str(value)
    return tostring(root)
