"""The partner signs what it sends, under a role and a key of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support import jws
from tests.support.iam import Role
from tests.support.partner import Partner
from tests.support.stack import Stack, StackNotRunningError
from tests.unit.support.conftest import Call, Door

ASSUMED = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIATEST</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>"""


@pytest.fixture
def key(tmp_path: Path) -> EllipticCurvePrivateKey:
    """The partner's key, in its PEM file."""
    made = jws.new_key()
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "partner.pem").write_bytes(pem)
    return made


@pytest.fixture
def partner(door: Door, tmp_path: Path, key: EllipticCurvePrivateKey) -> Partner:
    """A partner of a stack whose every endpoint is the door."""
    del key
    stack = Stack(
        name="test",
        public_origin=door.origin,
        internal_origin=door.origin,
        endpoint=door.origin,
        partner_key=tmp_path / "partner.pem",
    )
    door.answers.append((200, ASSUMED))
    return Partner(stack)


def command_of(call: Call) -> str:
    """Return the command that a call carries."""
    command = json.loads(call.body)["command"]
    assert isinstance(command, str)
    return command


def order_of(claims: dict[str, object]) -> dict[str, Any]:
    """Return the order that a command carries."""
    order = json.loads(jws.b64url_decode(str(claims["body"])))
    assert isinstance(order, dict)
    return order


def test_a_deposit_is_a_signed_command(
    door: Door, partner: Partner, key: EllipticCurvePrivateKey
) -> None:
    """Header and claims are those that the ledger asks for, and the order is inside."""
    partner.deposit("alice", "100.00", "EUR", "ref-1", now=1000)
    command = command_of(door.calls[-1])
    claims = jws.verify(command, key.public_key())
    assert jws.header_of(command) == {
        "typ": "portcullis-command+jwt",
        "alg": "ES256",
        "kid": jws.thumbprint(jws.public_jwk(key)),
    }
    assert order_of(claims) == {
        "account": "alice",
        "amount": {"amount": "100.00", "currency": "EUR"},
        "reference": "ref-1",
    }
    assert len(str(claims.pop("jti"))) == 32
    del claims["body"]
    assert claims == {
        "iss": "partner:sandbox",
        "aud": door.origin,
        "htm": "POST",
        "htu": f"{door.origin}/deposits",
        "iat": 1000,
        "exp": 1030,
        "kind": "deposit",
    }


def test_a_command_is_sent_under_the_partners_role(door: Door, partner: Partner) -> None:
    """The role is assumed once; requests are signed for API Gateway with its session."""
    partner.deposit("alice", "100.00", "EUR", "ref-1")
    partner.deposit("alice", "100.00", "EUR", "ref-2")
    assumed, first, second = door.calls
    assert b"role%2Ftest-partner-sandbox" in assumed.body
    for call in (first, second):
        authorization = call.header("Authorization") or ""
        assert authorization.startswith("AWS4-HMAC-SHA256 Credential=ASIATEST/")
        assert "/us-east-1/execute-api/aws4_request" in authorization
        assert "host;" in authorization
        assert call.header("X-Amz-Security-Token") == "session"


def test_a_command_can_be_forged_in_one_way(door: Door, partner: Partner) -> None:
    """Kind, header and claims are signed as forged; another key's signature is another's."""
    stranger = jws.new_key()
    partner.deposit("alice", "1.00", "EUR", "r", kind="transfer", claims={"exp": jws.ABSENT})
    partner.deposit("alice", "1.00", "EUR", "r", header={"typ": "JWT"})
    partner.deposit("alice", "1.00", "EUR", "r", signed_by=stranger)
    first, second, third = (command_of(call) for call in door.calls[1:])
    assert jws.claims_of(first)["kind"] == "transfer"
    assert "exp" not in jws.claims_of(first)
    assert jws.header_of(second)["typ"] == "JWT"
    jws.verify(third, stranger.public_key())
    with pytest.raises(InvalidSignature):
        jws.verify(third, partner.key.public_key())


def test_a_command_can_be_sent_again(door: Door, partner: Partner) -> None:
    """A whole command goes out as it is, even to another path and under another role."""
    thief = Role(partner.stack, "test-money-list-wallets")
    door.answers.insert(0, (200, ASSUMED))
    partner.send("/postings", b"", command="a.b.c", role=thief)
    assert b"role%2Ftest-money-list-wallets" in door.calls[0].body
    assert (door.calls[1].target, command_of(door.calls[1])) == ("/postings", "a.b.c")


def test_a_stack_that_never_ran_is_not_there(tmp_path: Path) -> None:
    """Without its file, a stack is not running."""
    with pytest.raises(StackNotRunningError):
        Stack.load("portcullis", local=tmp_path)


def test_a_stack_is_read_from_its_file(tmp_path: Path) -> None:
    """The launcher's file says where everything is."""
    described = {
        "stack": "s",
        "public_origin": "http://localhost:1",
        "internal_origin": "http://127.0.0.1:2",
        "endpoint": "http://127.0.0.1:3",
        "partner_key": "partner.pem",
    }
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "stack.json").write_text(json.dumps(described))
    stack = Stack.load("s", local=tmp_path)
    assert (stack.name, stack.partner_key) == ("s", Path("partner.pem"))
