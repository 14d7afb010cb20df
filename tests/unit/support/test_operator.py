"""An operator signs what two must sign, with a key of its own."""

import json
from pathlib import Path

from tests.support import jws
from tests.support.operator import Office, Operator, release_order
from tests.support.stack import Stack
from tests.unit.support.conftest import Door
from tests.unit.support.test_partner import ASSUMED

ORIGIN = "https://internal.example.test"


def test_a_release_is_a_signed_command() -> None:
    """Header and claims are those that are asked for, and the order is inside."""
    alice = Operator("alice")
    command = alice.release(ORIGIN, "a" * 26, now=1000)
    claims = jws.verify(command, alice.key.public_key())
    assert jws.header_of(command)["kid"] == jws.thumbprint(jws.public_jwk(alice.key))
    assert jws.b64url_decode(str(claims.pop("body"))) == release_order("a" * 26)
    assert len(str(claims.pop("jti"))) == 32
    assert claims == {
        "iss": "operator:alice",
        "aud": ORIGIN,
        "htm": "POST",
        "htu": f"{ORIGIN}/accounts/{'a' * 26}/release",
        "iat": 1000,
        "exp": 1030,
        "kind": "release-account",
    }


def test_two_commands_are_sent_under_the_operators_role(door: Door, tmp_path: Path) -> None:
    """One role for all operators, one command of each."""
    stack = Stack(
        name="test",
        public_origin=door.origin,
        internal_origin=door.origin,
        endpoint=door.origin,
        partner_key=tmp_path / "partner.pem",
    )
    door.answers.append((200, ASSUMED))
    alice, bob = Operator("alice"), Operator("bob")
    Office(stack).release("a" * 26, alice, bob)
    assumed, sent = door.calls
    assert b"role%2Ftest-operator" in assumed.body
    commands = json.loads(sent.body)["commands"]
    assert [jws.claims_of(one)["iss"] for one in commands] == ["operator:alice", "operator:bob"]
