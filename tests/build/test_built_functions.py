"""Every function as it is deployed: it starts, it refuses what is stale, it closes when blind."""

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.build.environment import NOWHERE, Invocation, invoke
from tests.support import key_service
from tests.support.key_service import KeyService
from tests.support.sample_events import events
from tests.support.sample_evidence import fixed, fixed_key
from tests.template.test_functions import WITH_PASSKEYS

EVENTS = events(*fixed())
PROBLEM = "urn:portcullis:problem:"

PROVED_FIRST = {
    "identity/account_options",
    "identity/open_account",
    "identity/password_sign_in",
    "identity/recover",
    "identity/recovery_options",
    "identity/second_factor",
    "identity/session_options",
    "identity/sign_in",
}
"""An expired proof is all that these need to see: they ask nobody anything."""

OF_THE_OWNER = {
    "identity/add_passkey",
    "identity/approval_options",
    "identity/approve",
    "identity/cancel_recovery",
    "identity/confirm_totp",
    "identity/end_session",
    "identity/end_sessions",
    "identity/enrol_totp",
    "identity/list_passkeys",
    "identity/list_sessions",
    "identity/mint_recovery_codes",
    "identity/passkey_options",
    "identity/put_password",
    "identity/remove_passkey",
    "identity/remove_totp",
    "identity/rename_passkey",
}
"""What an owner does behind the gate; each verifies the access token again."""

BLIND = {
    **dict.fromkeys(OF_THE_OWNER, 503),
    "identity/jwks": 503,
    "identity/lift_lockdown": 503,
    "identity/lift_quarantine": 503,
    "identity/lock_down": 503,
    "identity/refresh": 503,
    "identity/release_account": 503,
    "identity/revoke": 503,
    "ledger/deposit": 503,
    "ledger/entries": 503,
    "ledger/post": 503,
    "ledger/wallets": 503,
    "money/list_entries": 503,
    "money/list_wallets": 503,
    "money/open_wallet": 503,
    "money/order_transfer": 503,
}
"""These need a key or a table to judge; without one they answer `unavailable`, and no more."""

RAISING = {
    "identity/gate": "StoreError",
    "identity/restrain": "StoreError",
    "operations/reconcile": "RunFailedError",
    "operations/register_operator": "StoreError",
    "operations/register_partner": "StoreError",
}
"""What has no status of its own ends with an error: API Gateway says 503, an operator sees it."""

ANSWERED = {"identity/certify_enrolment"}
"""What another function invokes answers it with a refusal: its sample is an old ceremony."""

REPEATED = {"operations/publish"}
"""What reads a stream says which record it could not do, and is sent that one again."""

WITH_KEYS = {
    **dict.fromkeys(OF_THE_OWNER, (401, "invalid-token", "token expired")),
    "ledger/entries": (403, "evidence-refused", "token expired"),
    "ledger/post": (403, "invalid-command", "command time"),
    "ledger/wallets": (403, "evidence-refused", "token expired"),
    "money/list_entries": (401, "invalid-token", "token expired"),
    "money/list_wallets": (401, "invalid-token", "token expired"),
    "money/open_wallet": (401, "invalid-token", "token expired"),
    "money/order_transfer": (401, "invalid-token", "token expired"),
}
"""With the keys at hand they see that the evidence is genuine and too old. No table is asked."""

NEVER_SHIPPED = ("boto3", "moto", "pytest", "samcli", "tests", "ministack")
"""Some of what this environment has and no function may: a test of itself would be blind to it."""

COLD_STARTS = 3


@pytest.fixture(scope="module")
def keys() -> Iterator[KeyService]:
    """A key service whose keys have signed the sample tokens and commands."""
    with key_service.running() as service:
        service._signing["AccessTokenKey"] = fixed_key("access-token")
        service._signing["CommandKey"] = fixed_key("command")
        yield service


@cache
def blind(built: Path, name: str) -> Invocation:
    """Return what a function does where there is no AWS, and what it could import there."""
    return invoke(built, name, EVENTS[name], probes=("webauthn", *NEVER_SHIPPED))


def problem_of(invocation: Invocation) -> tuple[int, str]:
    """Return status and problem type of a function's answer."""
    answer = invocation.answer
    assert answer is not None, invocation.raised
    kind = json.loads(answer["body"])["type"]
    return answer["statusCode"], kind.removeprefix(PROBLEM)


def test_every_function_is_in_one_of_these_tables() -> None:
    """No function is built and left untried."""
    tables = (PROVED_FIRST, BLIND, RAISING, ANSWERED, REPEATED)
    assert {name for table in tables for name in table} == set(EVENTS)
    assert sum(len(table) for table in tables) == len(EVENTS)


@pytest.mark.parametrize("name", sorted(PROVED_FIRST))
def test_an_expired_proof_is_refused_before_anybody_is_asked(name: str, built: Path) -> None:
    """A stale proof costs a stranger's request no read, no write and no signature."""
    invocation = blind(built, name)
    assert problem_of(invocation) == (400, "invalid-proof")
    assert invocation.check == "proof time"
    assert invocation.connected == []


@pytest.mark.parametrize("name", sorted(BLIND))
def test_a_function_that_cannot_see_is_closed(name: str, built: Path) -> None:
    """Without KMS and DynamoDB the answer is 503 with Retry-After: nothing passes unjudged."""
    invocation = blind(built, name)
    assert problem_of(invocation) == (BLIND[name], "unavailable")
    assert invocation.answer is not None
    assert invocation.answer["headers"]["Retry-After"] == "1"
    assert invocation.connected


@pytest.mark.parametrize("name", sorted(RAISING))
def test_a_function_without_a_status_fails(name: str, built: Path) -> None:
    """The gate that does not know, and the operation that was not done, end with an error."""
    invocation = blind(built, name)
    assert (invocation.answer, invocation.raised) == (None, RAISING[name])


@pytest.mark.parametrize("name", sorted(ANSWERED))
def test_old_evidence_is_certified_nowhere(name: str, built: Path) -> None:
    """The certifier refuses what is too old before it asks a table or signs."""
    invocation = blind(built, name)
    assert invocation.answer is not None
    told = (invocation.answer["status"], invocation.answer["type"])
    assert told == (403, f"{PROBLEM}enrolment-refused")


@pytest.mark.parametrize("name", sorted(REPEATED))
def test_a_record_that_was_not_done_is_asked_for_again(name: str, built: Path) -> None:
    """No notice is lost because a table did not answer: its record is reported as failed."""
    (record,) = EVENTS[name]["Records"]
    number = record["dynamodb"]["SequenceNumber"]
    assert blind(built, name).answer == {"batchItemFailures": [{"itemIdentifier": number}]}


@pytest.mark.parametrize("name", sorted(WITH_KEYS))
def test_expired_evidence_is_refused_before_a_table_is_asked(
    name: str, built: Path, keys: KeyService
) -> None:
    """Genuine evidence that is too old is refused as documented, with keys and without tables."""
    invocation = invoke(built, name, EVENTS[name], kms=keys.endpoint)
    assert (*problem_of(invocation), invocation.check) == WITH_KEYS[name]
    assert _elsewhere(invocation, keys) == []


def test_a_gate_that_has_keys_and_no_table_lets_nobody_pass(built: Path, keys: KeyService) -> None:
    """Without the secret of its nonces the gate has no verdict to give, and gives none."""
    invocation = invoke(built, "identity/gate", EVENTS["identity/gate"], kms=keys.endpoint)
    assert (invocation.answer, invocation.raised) == (None, "StoreError")


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_function_can_import_what_is_its_own_alone(name: str, built: Path) -> None:
    """No function sees this machine's packages, and only passkey functions see `webauthn`."""
    invocation = blind(built, name)
    deployed = name.replace("/", "-").replace("_", "-")
    assert invocation.importable == (["webauthn"] if deployed in WITH_PASSKEYS else [])
    assert not [folder for folder in invocation.path if "site-packages" in folder]


@pytest.mark.parametrize("name", ["identity/gate", "identity/refresh"])
def test_the_cost_of_a_cold_start_is_known(
    name: str, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hot path's imports are measured, in processor time, each in a fresh interpreter."""
    costs = [invoke(built, name, EVENTS[name]).import_cpu_s for _ in range(COLD_STARTS)]
    assert min(costs) > 0
    with capsys.disabled():
        milliseconds = ", ".join(f"{cost * 1000:.0f}" for cost in costs)
        sys.stdout.write(f"\nimports of {name}: {milliseconds} ms of CPU\n")


def _elsewhere(invocation: Invocation, keys: KeyService) -> list[str]:
    """Return what an invocation reached for besides the key service."""
    port = keys.endpoint.rpartition(":")[2]
    assert port not in NOWHERE
    return [address for address in invocation.connected if port not in address]
