"""No kind of evidence stands in for another (RFC 8725 section 3.11)."""

from collections.abc import Callable

import pytest

from portcullis.evidence import access_token, approvals, commands, dpop, receipts
from portcullis.evidence.access_token import AccessToken
from portcullis.evidence.approvals import Act
from portcullis.evidence.errors import EvidenceError
from tests.support import jws
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import INTERNAL_ORIGIN, KEY, NOW, ORIGIN, PUBLIC, TRUSTED, USER

URL = ORIGIN + "/wallets"


def _as_token(compact: str) -> object:
    return access_token.verify(compact, keys=TRUSTED, expected_issuer=ORIGIN, now_s=NOW)


def _as_proof(compact: str) -> object:
    return dpop.verify(
        compact, expected_method="GET", expected_url=URL, access_token=None, now_s=NOW
    )


def _as_command(compact: str) -> object:
    return commands.verify(
        commands.parse(compact),
        key=PUBLIC,
        expected_issuer="money",
        expected_audience=INTERNAL_ORIGIN,
        expected_path="/postings",
        now_s=NOW,
    )


def _as_receipt(compact: str) -> object:
    return receipts.verify(compact, keys=TRUSTED, expected_meaning="meaning-digest")


def _as_approval(compact: str) -> object:
    return approvals.verify(
        compact,
        keys=TRUSTED,
        enrolment_keys=TRUSTED,
        expected_audience="ledger",
        expected_origin=ORIGIN,
        expected_rp_id="api.example.test",
        expected_token=AccessToken.model_validate(genuine.token_claims()),
        expected_act=Act.model_validate(genuine.approval_claims()["act"]),
        now_s=NOW,
    )


GENUINE = {
    "token": genuine.token(),
    "proof": USER.proof("GET", URL, now=NOW),
    "command": genuine.command(),
    "receipt": genuine.receipt(),
    "approval": genuine.approval(),
}
VERIFY: dict[str, Callable[[str], object]] = {
    "token": _as_token,
    "proof": _as_proof,
    "command": _as_command,
    "receipt": _as_receipt,
    "approval": _as_approval,
}
TYPES = {
    "token": access_token.TYP,
    "proof": dpop.TYP,
    "command": commands.TYP,
    "receipt": receipts.TYP,
    "approval": approvals.TYP,
}


@pytest.mark.parametrize("kind", VERIFY)
def test_each_kind_is_accepted_as_what_it_is(kind: str) -> None:
    """A genuine piece of each kind verifies as that kind."""
    assert VERIFY[kind](GENUINE[kind])


@pytest.mark.parametrize("asked", VERIFY)
@pytest.mark.parametrize("shown", GENUINE)
def test_no_kind_is_accepted_as_another(shown: str, asked: str) -> None:
    """A genuine piece of one kind is refused by its type where another kind is asked for."""
    if shown != asked:
        with pytest.raises(EvidenceError, match="another type"):
            VERIFY[asked](GENUINE[shown])


@pytest.mark.parametrize("asked", VERIFY)
@pytest.mark.parametrize("claimed", GENUINE)
def test_another_kinds_claims_under_the_right_type_are_refused(claimed: str, asked: str) -> None:
    """The claims of one kind, signed by a trusted key under the type of another, are refused."""
    if claimed == asked:
        return
    header = {"typ": TYPES[asked], "alg": "ES256", "kid": PUBLIC.thumbprint}
    compact = jws.sign(header | {"jwk": jws.public_jwk(KEY)}, jws.claims_of(GENUINE[claimed]), KEY)
    # A proof may hold further claims, so a command's claims are a proof's, of another method.
    with pytest.raises(EvidenceError, match=r"claims|proof method"):
        VERIFY[asked](compact)


def test_the_types_differ() -> None:
    """Every kind has a type of its own, and none is a bare JWT."""
    assert len(set(TYPES.values())) == len(TYPES)
    assert all(typ.endswith("+jwt") for typ in TYPES.values())
