"""The authorization server's metadata (RFC 8414): exactly what is there."""

import json
import re
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from portcullis.identity.assurance import LEVELS

ORIGIN = "https://api.example.test"
PATH = "/.well-known/oauth-authorization-server"


def metadata() -> dict[str, Any]:
    """Return what the gateway answers, for an origin."""
    template = yaml_parse(Path("template.yaml").read_text())
    paths = template["Resources"]["PublicApi"]["Properties"]["DefinitionBody"]["paths"]
    integration = paths[PATH]["get"]["x-amazon-apigateway-integration"]
    text = integration["responses"]["default"]["responseTemplates"]["application/json"]
    document: dict[str, Any] = json.loads(text["Fn::Sub"].replace("${PublicOrigin}", ORIGIN))
    return document


def test_the_metadata_is_exact() -> None:
    """Each member of RFC 8414 section 2 that applies, and RFC 9449's and RFC 9470's; no other."""
    assert metadata() == {
        "issuer": ORIGIN,
        "token_endpoint": ORIGIN + "/oauth/token",
        "revocation_endpoint": ORIGIN + "/oauth/revoke",
        "jwks_uri": ORIGIN + "/.well-known/jwks.json",
        "grant_types_supported": ["refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "acr_values_supported": list(LEVELS),
    }


def test_the_metadata_promises_no_route_that_is_not_there() -> None:
    """Each endpoint that it names is a path of the template."""
    template = yaml_parse(Path("template.yaml").read_text())
    paths = template["Resources"]["PublicApi"]["Properties"]["DefinitionBody"]["paths"]
    named = [value for value in metadata().values() if isinstance(value, str) and value != ORIGIN]
    assert len(named) == 3
    assert {re.sub(f"^{ORIGIN}", "", url) for url in named} <= paths.keys()
