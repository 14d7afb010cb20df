"""Sign an operator's order, and send it when everybody who must has signed.

    python -m infra.operate lock-down --reason intrusion --operator alice --key alice.pem \\
        --origin https://internal.example.com

What one operator may order is sent at once. What takes two is printed, for the other operator,
who runs the same command within 30 seconds with ``--with <what was printed>``, and that sends both.
The request is signed (SigV4) with the AWS credentials of the environment, which must be the
operators' role's. ``--key -`` reads the key from standard input, so that it need not lie in a file.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import botocore.session
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from portcullis import entropy
from portcullis.evidence import commands, jws
from portcullis.evidence.commands import Command
from portcullis.evidence.encoding import b64url
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.operators import ISSUER_PREFIX
from portcullis.evidence.orders import (
    LiftLockdown,
    LiftQuarantine,
    LockDown,
    OrderKind,
    ReleaseAccount,
)
from portcullis.schema import Strict

TIMEOUT_S = 15.0
REGION = "us-east-1"


class OperateError(Exception):
    """A sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Act:
    """What operators can order: over which route, and how many of them must sign."""

    path: str
    operators: int
    model: type[Strict]


ACTS: Mapping[OrderKind, Act] = {
    "lock-down": Act("/lockdown", 1, LockDown),
    "lift-lockdown": Act("/lockdown/lift", 2, LiftLockdown),
    "lift-quarantine": Act("/accounts/{account}/lift", 2, LiftQuarantine),
    "release-account": Act("/accounts/{account}/release", 2, ReleaseAccount),
}


@dataclass(frozen=True, slots=True)
class Operator:
    """Who signs, and with what."""

    name: str
    key: ec.EllipticCurvePrivateKey


def signed(
    kind: OrderKind, terms: Mapping[str, str], *, by: Operator, origin: str, now_s: int
) -> str:
    """Return the operator's command.

    Raises:
        pydantic.ValidationError: the terms are not this order's.
    """
    act = ACTS[kind]
    # The two of a pair sign the very same bytes: the model's own spelling.
    order = act.model.model_validate(dict(terms)).model_dump_json().encode()
    command = Command(
        iss=ISSUER_PREFIX + by.name,
        aud=origin,
        htm="POST",
        htu=origin + act.path.format_map(terms),
        iat=now_s,
        exp=now_s + commands.LIFETIME_S,
        jti=entropy.new_id(),
        kind=kind,
        body=b64url(order),
    )
    kid = PublicKey.of(by.key.public_key()).thumbprint
    header = {"typ": commands.TYP, "alg": jws.ALGORITHM, "kid": kid}
    text = jws.signing_input(header, command.model_dump(exclude_none=True))
    r, s = decode_dss_signature(by.key.sign(text.encode(), ec.ECDSA(SHA256())))
    half = jws.SIGNATURE_BYTES // 2
    return jws.assemble(text, r.to_bytes(half) + s.to_bytes(half))


def request(
    kind: OrderKind, terms: Mapping[str, str], given: Sequence[str], *, origin: str
) -> AWSRequest:
    """Return the request that carries the commands, not yet signed by IAM's key."""
    act = ACTS[kind]
    envelope = {"command": given[0]} if act.operators == 1 else {"commands": list(given)}
    return AWSRequest(
        "POST",
        origin + act.path.format_map(terms),
        headers={"Content-Type": "application/json"},
        data=json.dumps(envelope).encode(),
    )


def send(unsigned: AWSRequest, *, region: str) -> tuple[int, str]:
    """Sign a request with the environment's credentials, send it once, and return the answer.

    Raises:
        OperateError: there are no credentials, or no answer. Whether it was done is then not
            known: signing and sending anew is safe.
    """
    credentials = botocore.session.get_session().get_credentials()
    if credentials is None:
        raise OperateError("No AWS credentials: take on the role <stack>-operator first.")
    SigV4Auth(credentials, "execute-api", region).add_auth(unsigned)
    try:
        reply = urllib3.request(
            "POST",
            str(unsigned.url),
            body=unsigned.data,
            headers=dict(unsigned.headers.items()),
            timeout=TIMEOUT_S,
            retries=False,
            redirect=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise OperateError(f"No answer ({type(error).__name__}). Sign and send anew.") from None
    return reply.status, reply.data.decode()


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.operate", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("act", choices=ACTS)
    parser.add_argument("--operator", required=True, help="the registered name")
    parser.add_argument("--key", required=True, help="the private key (PEM), or - for stdin")
    parser.add_argument("--origin", required=True, help="InternalOrigin, as the stack has it")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--reason", help="of a lockdown")
    parser.add_argument("--account", help="of a release or of a quarantine")
    parser.add_argument("--with", dest="other", help="what the other operator's command printed")
    return parser.parse_args(given)


def _operator(name: str, source: str) -> Operator:
    pem = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise OperateError("The key is not a P-256 key.")
    return Operator(name, key)


def operate(given: Sequence[str]) -> int:
    """Sign, and print or send; return the exit status.

    Raises:
        OperateError: a sentence for the operator.
    """
    asked = arguments(given)
    terms = {
        name: value for name in ("reason", "account") if (value := getattr(asked, name)) is not None
    }
    try:
        own = signed(
            asked.act,
            terms,
            by=_operator(asked.operator, asked.key),
            origin=asked.origin,
            now_s=int(time.time()),
        )
    except (OSError, ValueError) as error:
        raise OperateError(str(error)) from None
    if ACTS[asked.act].operators > 1 and asked.other is None:
        print(own)
        return 0
    both = [own] if asked.other is None else [asked.other, own]
    status, answer = send(request(asked.act, terms, both, origin=asked.origin), region=asked.region)
    print(f"{status} {answer}")
    return 0 if status < 300 else 1  # noqa: PLR2004 the statuses of success end there


def main() -> int:
    """Do what the command line says; an error is a sentence on stderr, not a stack trace."""
    try:
        return operate(sys.argv[1:])
    except (OperateError, BotoCoreError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
