"""Client data: what the browser says about a passkey's ceremony (WebAuthn Level 3, section 5.8.1).

A ceremony in a frame of another origin is refused: no page of ours is framed, and a framed one
lets somebody else's page choose when the user is asked. The numbers are the steps of section 7.2.
"""

from dataclasses import dataclass
from typing import Literal

from portcullis import strict_json
from portcullis.evidence.encoding import b64url
from portcullis.evidence.errors import EvidenceError

CREATE = "webauthn.create"
GET = "webauthn.get"


@dataclass(frozen=True, slots=True)
class ClientData:
    """What is read of the client data; further members are permitted and decide nothing."""

    type: str
    challenge: str
    origin: str


def parse(raw: bytes) -> ClientData:
    """Return the client data in *raw*: what it says, not yet that it is true.

    Raises:
        EvidenceError: it is not strict JSON or not client data, or the ceremony was in a frame
            of another origin.
    """
    try:
        members = strict_json.parse(raw)  # steps 8 and 9
    except strict_json.JsonError:
        raise EvidenceError("client data is not JSON") from None
    if not isinstance(members, dict):
        raise EvidenceError("client data is not an object")
    if members.get("crossOrigin", False) is not False or "topOrigin" in members:  # 13, 14
        raise EvidenceError("ceremony in a frame of another origin")
    match members:
        case {"type": str(type_), "challenge": str(challenge), "origin": str(origin)}:
            return ClientData(type=type_, challenge=challenge, origin=origin)
    raise EvidenceError("client data lacks a member")


def verify(
    raw: bytes, *, expected_type: str, expected_challenge: bytes, expected_origin: str
) -> Literal[True]:
    """Return True if *raw* is of this ceremony, on a page of ours, in answer to this challenge.

    Raises:
        EvidenceError: it is not, or `parse` refuses it.
    """
    told = parse(raw)
    if told.type != expected_type:  # step 10
        raise EvidenceError("another ceremony")
    if told.challenge != b64url(expected_challenge):  # step 11
        raise EvidenceError("another challenge")
    if told.origin != expected_origin:  # step 12
        raise EvidenceError("another origin")
    return True
