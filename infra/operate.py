"""Sign an operator's order, and send it when everybody who must has signed.

    python -m infra.operate lock-down --reason intrusion --operator alice --key alice.pem \\
        --origin https://internal.example.com

What one operator may order is sent at once. What takes two is printed, for the other operator,
who runs the same command within 30 seconds with ``--with <what was printed>``, and that sends both.
The request is signed (SigV4) with the AWS credentials of the environment, which must be the
operators' role's, and for its region, unless ``--region`` names one. ``--key -`` reads the key from
standard input, so that it need not lie in a file; the passphrase of an encrypted one is asked for.
"""

import argparse
import getpass
import json
import os
import re
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import botocore.session
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import ValidationError

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
ORIGIN = re.compile(r"https://[a-z0-9.-]+(:[0-9]+)?|http://(127\.0\.0\.1|localhost)(:[0-9]+)?")
"""Byte for byte the audience of a command. In clear only to a stack on this machine."""
HELP = {
    "account": "the account's id",
    "reason": "one of the runbook's list",
    "since": "which lockdown: the time that lock-down printed",
}


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


def region_of(asked: str | None) -> str:
    """Return the region to sign for: the one that was asked for, or else the environment's.

    Raises:
        OperateError: neither names one.
    """
    configured = botocore.session.get_session().get_config_variable("region")
    region = asked or os.environ.get("AWS_REGION") or configured
    if not region:
        raise OperateError("No region: give --region, or set AWS_REGION.")
    return str(region)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for on the command line; each act has the options that it needs."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.operate", description=__doc__.partition("\n")[0]
    )
    acts = parser.add_subparsers(dest="act", required=True, metavar="act")
    for kind, act in ACTS.items():
        own = acts.add_parser(kind)
        own.add_argument("--operator", required=True, help="the registered name")
        own.add_argument("--key", required=True, help="the private key (PEM), or - for stdin")
        own.add_argument(
            "--origin", required=True, type=_origin, help="InternalOrigin, as the stack has it"
        )
        own.add_argument("--region", help="the stack's; without it, the environment's")
        for term in act.model.model_fields:
            own.add_argument(f"--{term}", required=True, help=HELP[term])
        if act.operators > 1:
            own.add_argument("--with", dest="other", help="what the other operator's printed")
    return parser.parse_args(given)


def _origin(text: str) -> str:
    if not ORIGIN.fullmatch(text):
        raise argparse.ArgumentTypeError(
            "it is scheme and host alone, as in https://internal.example.com"
        )
    return text


def _operator(name: str, source: str) -> Operator:
    pem = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    key = _private_key(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise OperateError("The key is not a P-256 key.")
    return Operator(name, key)


def _private_key(pem: bytes) -> PrivateKeyTypes:
    try:
        try:
            return load_pem_private_key(pem, password=None)
        except TypeError:  # it is encrypted
            return load_pem_private_key(pem, password=_passphrase())
    except (ValueError, UnsupportedAlgorithm):
        raise OperateError("The key is no private key in PEM, or not of this passphrase.") from None


def _passphrase() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # it would show what is typed
        try:
            return getpass.getpass("Passphrase of the key: ").encode()
        except (getpass.GetPassWarning, EOFError):
            raise OperateError("The key is encrypted, and no terminal can ask for it.") from None


def operate(given: Sequence[str], *, now_s: int) -> int:
    """Sign, and print or send; return the exit status.

    Raises:
        OperateError: a sentence for the operator.
    """
    asked = arguments(given)
    act = ACTS[asked.act]
    terms = {term: getattr(asked, term) for term in act.model.model_fields}
    try:
        by = _operator(asked.operator, asked.key)
        own = signed(asked.act, terms, by=by, origin=asked.origin, now_s=now_s)
    except OSError as error:
        raise OperateError(f"{asked.key}: {error.strerror}") from None
    except ValidationError as error:
        raise OperateError(_faults(error)) from None
    if act.operators == 1:
        sent = [own]
    elif asked.other is None:
        print(own)
        return 0
    else:
        sent = [asked.other, own]
    unsigned = request(asked.act, terms, sent, origin=asked.origin)
    status, answer = send(unsigned, region=region_of(asked.region))
    print(f"{status} {answer}")
    return 0 if status < 300 else 1  # noqa: PLR2004 the statuses of success end there


def _faults(error: ValidationError) -> str:
    return "\n".join(f"--{fault['loc'][0]}: {fault['msg']}." for fault in error.errors())


def main() -> int:
    """Do what the command line says; an error is a sentence on stderr, not a stack trace."""
    try:
        return operate(sys.argv[1:], now_s=int(time.time()))
    except (OperateError, BotoCoreError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
