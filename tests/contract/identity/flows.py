"""Every flow of the domain that uses something up, ready to be done once with one proof."""

from collections.abc import Callable
from dataclasses import dataclass

from portcullis.aws import dynamodb
from portcullis.errors import RefusedError
from portcullis.evidence.approvals import Act
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import (
    accounts,
    approving,
    changes,
    passkey_adding,
    passkey_list,
    password_setting,
    password_sign_in,
    recovery,
    recovery_cancelling,
    recovery_codes,
    second_factor,
    sign_in,
    sign_out,
    standing,
    totp,
    totp_enrolment,
)
from portcullis.identity.challenges import ChallengeRefusedError
from portcullis.identity.passkey_adding import Addition
from portcullis.identity.passkeys import Registration
from portcullis.identity.tickets import TicketRefusedError
from portcullis.settings import setting
from tests.contract.identity.coders import Coder
from tests.contract.identity.people import (
    OPEN_OPTIONS,
    SIGN_IN,
    SIGN_IN_OPTIONS,
    SOURCE,
    TOKEN,
    Family,
    Person,
    caller_of,
    now,
    open_account,
    proof_and_compact,
    proof_of,
    registered,
    totp_code,
)
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey

LOGIN, PASSWORD = "alice@example.test", "seven green otters hum"
NEW_PASSWORD = "eleven brass kettles sing"
MINT = Act(kind="mint-recovery-codes", fields=[])
LITTLE = Act(kind="transfer", fields=["b" * 26, "1.00", "EUR", "key-1"])
LIFT = Act(kind="lift-quarantine", fields=["unsaid"])
LIFT_DEMAND = Act(kind="lift-demand", fields=[])

type Deed = Callable[[], object]


@dataclass(frozen=True)
class Flow:
    """A flow: how it is prepared, what it reports, and what its repetition hears.

    ``prepare`` returns the deed, bound to one proof. ``kinds``: the events of its account.
    ``guesses``: it is a guess at something, so its proof is used up before it is looked at.
    """

    prepare: Callable[[Person, Family], Deed]
    kinds: tuple[str, ...] = ()
    repeated: type[RefusedError] = ProofReplayedError
    guesses: bool = False


def _account_options(_: Person, __: Family) -> Deed:
    proof = proof_of(ProofKey(), OPEN_OPTIONS)
    return lambda: accounts.options(proof=proof, source=SOURCE, now_s=now())


def _opening(_: Person, __: Family) -> Deed:
    key, holder = ProofKey(), Authenticator()
    registration, shown = registered(holder, key), proof_and_compact(key, "/accounts")
    return lambda: open_account(registration, key, shown=shown)


def _session_options(_: Person, __: Family) -> Deed:
    proof = proof_of(ProofKey(), SIGN_IN_OPTIONS)
    return lambda: sign_in.options(proof=proof, source=SOURCE, now_s=now())


def _sign_in(person: Person, _: Family) -> Deed:
    key = ProofKey()
    answer, proof = person.assertion(key), proof_of(key, SIGN_IN)
    return lambda: sign_in.sign_in(answer, proof=proof, source=SOURCE, now_s=now())


def _refresh(_: Person, family: Family) -> Deed:
    proof = proof_of(family.key, TOKEN)
    return lambda: family.refresh(proof=proof)


def _approval_options(_: Person, family: Family) -> Deed:
    principal = family.principal("POST", "/approvals/options")
    return lambda: approving.options(MINT, principal=principal, now_s=now())


def _approval(person: Person, family: Family) -> Deed:
    answer, principal = person.answer(family, MINT), family.principal("POST", "/approvals")
    return lambda: approving.by_passkey(answer, principal=principal, now_s=now())


def _approval_by_code(person: Person, family: Family) -> Deed:
    coder = Coder.of(person, family)
    challenge, code, at_s = coder.options(LITTLE)["challenge"], coder.code(), coder.at_s
    principal = coder.family.principal("POST", "/approvals", at_s=at_s)
    return lambda: approving.by_code(challenge, code, principal=principal, now_s=at_s)


def _lift(person: Person, _: Family) -> Deed:
    dynamodb.execute(standing.quarantined(person.standing, at_s=now()))
    return _lifting(person, person.sign_in(), LIFT)


def _end_of_demand(person: Person, family: Family) -> Deed:
    dynamodb.execute(standing.approval_demanded(person.standing, since_s=now() - 60))
    return _lifting(person, family, LIFT_DEMAND)


def _lifting(person: Person, family: Family, act: Act) -> Deed:
    answer, principal = person.answer(family, act), family.principal("POST", "/approvals")
    return lambda: approving.by_passkey(answer, principal=principal, now_s=now())


def _passkey_options(_: Person, family: Family) -> Deed:
    principal = family.principal("POST", "/passkeys/options")
    return lambda: passkey_adding.options(principal, now_s=now())


def _addition(_: Person, family: Family) -> Deed:
    options = passkey_adding.options(family.principal("POST", "/passkeys/options"), now_s=now())
    answer = Authenticator().create(options, setting("PUBLIC_ORIGIN"))
    addition = Addition(credential=Registration.model_validate(answer), label="the blue one")
    who = caller_of(family.key, family.access_token, "POST", "/passkeys")
    principal = changes.principal(who, route=("POST", "/passkeys"), now_s=now())
    return lambda: passkey_adding.add(addition, principal=principal, evidence=who, now_s=now())


def _renaming(person: Person, family: Family) -> Deed:
    principal, id_ = family.principal("PATCH", "/passkeys/{id}"), person.passkey
    return lambda: passkey_list.rename(id_, "mine", principal=principal, now_s=now())


def _removal(person: Person, family: Family) -> Deed:
    person.add_passkey(family, holder := Authenticator(), approver=person)
    id_ = Person(person.account, holder).passkey
    act = Act(kind="remove-passkey", fields=[id_])
    principal = family.principal(
        "DELETE", "/passkeys/{id}", act=act, approval=person.approve(family, act)
    )
    return lambda: passkey_list.remove(id_, principal=principal, now_s=now())


def _totp_enrolment(_: Person, family: Family) -> Deed:
    principal = family.principal("POST", "/totp")
    return lambda: totp_enrolment.enrol(principal, now_s=now())


def _totp_confirmation(_: Person, family: Family) -> Deed:
    made = totp_enrolment.enrol(family.principal("POST", "/totp"), now_s=now())
    code = totp_code(totp.secret_in(made["secret"]), now())
    principal = family.principal("POST", "/totp/confirm")
    return lambda: totp_enrolment.confirm(made["enrolment"], code, principal=principal, now_s=now())


def _totp_removal(person: Person, family: Family) -> Deed:
    person.add_totp(family)
    act = Act(kind="remove-totp", fields=[])
    principal = family.principal("DELETE", "/totp", act=act, approval=person.approve(family, act))
    return lambda: totp_enrolment.remove(principal, now_s=now())


def _password(_: Person, family: Family) -> Deed:
    principal = family.principal("PUT", "/password")
    return lambda: password_setting.put(LOGIN, PASSWORD, principal=principal, now_s=now())


def _password_change(person: Person, family: Family) -> Deed:
    person.put_password(family, LOGIN, PASSWORD)
    act = Act(kind="set-password", fields=[])
    principal = family.principal("PUT", "/password", act=act, approval=person.approve(family, act))
    return lambda: password_setting.put(LOGIN, NEW_PASSWORD, principal=principal, now_s=now())


def _first_half(person: Person, family: Family) -> Deed:
    person.put_password(family, LOGIN, PASSWORD)
    proof = proof_of(ProofKey(), "/sessions/password")
    return lambda: password_sign_in.begin(LOGIN, PASSWORD, proof=proof, source=SOURCE, now_s=now())


def _code(person: Person, family: Family) -> Deed:
    person.put_password(family, LOGIN, PASSWORD)
    secret, key = person.add_totp(family), ProofKey()
    ticket, proof = person.pending(key), proof_of(key, "/sessions/second-factor")
    at_s = now()
    code = totp_code(secret, at_s)
    return lambda: second_factor.by_code(ticket, code, proof=proof, source=SOURCE, now_s=at_s)


def _passkey_after_password(person: Person, family: Family) -> Deed:
    person.put_password(family, LOGIN, PASSWORD)
    key = ProofKey()
    ticket, answer = person.pending(key), person.assertion(key)
    proof = proof_of(key, "/sessions/second-factor")
    return lambda: second_factor.by_passkey(ticket, answer, proof=proof, source=SOURCE, now_s=now())


def _minting(person: Person, family: Family) -> Deed:
    principal = family.principal(
        "POST", "/recovery-codes", act=MINT, approval=person.approve(family, MINT)
    )
    return lambda: recovery_codes.mint(principal, now_s=now())


def _recovery_options(person: Person, family: Family) -> Deed:
    code, proof = person.mint_codes(family)[0], proof_of(ProofKey(), "/recovery/options")
    return lambda: recovery.options(code, proof=proof, source=SOURCE, now_s=now())


def _recovery(person: Person, family: Family) -> Deed:
    code, key = person.mint_codes(family)[0], ProofKey()
    options = recovery.options(
        code, proof=proof_of(key, "/recovery/options"), source=SOURCE, now_s=now()
    )
    answer = Authenticator().create(options, setting("PUBLIC_ORIGIN"))
    registration = Registration.model_validate(answer)
    proof, compact = proof_and_compact(key, "/recovery")
    return lambda: recovery.recover(
        code, registration, proof=proof, compact_proof=compact, source=SOURCE, now_s=now()
    )


def _cancellation(person: Person, family: Family) -> Deed:
    person.mint_codes(family)
    principal = family.principal("DELETE", "/recovery")
    return lambda: recovery_cancelling.cancel(principal, now_s=now())


def _end_of_one(person: Person, family: Family) -> Deed:
    other, principal = person.sign_in(), family.principal("DELETE", "/sessions/{id}")
    return lambda: sign_out.end_one(other.sid, principal=principal, now_s=now())


def _sign_out(_: Person, family: Family) -> Deed:
    principal = family.principal("DELETE", "/sessions/{id}")
    return lambda: sign_out.end_one(family.sid, principal=principal, now_s=now())


def _end_of_others(_: Person, family: Family) -> Deed:
    principal = family.principal("DELETE", "/sessions")
    return lambda: sign_out.end_all(except_current=True, principal=principal, now_s=now())


def _end_of_all(_: Person, family: Family) -> Deed:
    principal = family.principal("DELETE", "/sessions")
    return lambda: sign_out.end_all(except_current=False, principal=principal, now_s=now())


STARTED = ("session-started",)

FLOWS = {
    "account options": Flow(_account_options),
    "opening of an account": Flow(_opening, repeated=ChallengeRefusedError),
    "session options": Flow(_session_options),
    "sign-in": Flow(_sign_in, STARTED, repeated=ChallengeRefusedError),
    "refresh": Flow(_refresh),
    "approval options": Flow(_approval_options),
    "approval": Flow(_approval),
    "approval by a code": Flow(_approval_by_code, repeated=ChallengeRefusedError),
    "lift of a quarantine": Flow(_lift, ("quarantine-lifted",)),
    "end of a demand": Flow(_end_of_demand, ("approval-demand-lifted",)),
    "passkey options": Flow(_passkey_options),
    "addition of a passkey": Flow(_addition, ("passkey-added",), repeated=ChallengeRefusedError),
    "renaming of a passkey": Flow(_renaming, ("passkey-renamed",)),
    "removal of a passkey": Flow(_removal, ("passkey-removed",)),
    "TOTP enrolment": Flow(_totp_enrolment),
    "TOTP confirmation": Flow(_totp_confirmation, ("totp-added",)),
    "removal of TOTP": Flow(_totp_removal, ("totp-removed",)),
    "first password": Flow(_password, ("password-set",)),
    "change of password": Flow(_password_change, ("password-set",)),
    "password": Flow(_first_half, guesses=True),
    "code": Flow(_code, STARTED, repeated=TicketRefusedError),
    "passkey after a password": Flow(_passkey_after_password, STARTED, repeated=TicketRefusedError),
    "minting of codes": Flow(_minting, ("recovery-codes-minted",)),
    "recovery options": Flow(_recovery_options, guesses=True),
    "recovery": Flow(_recovery, ("recovery-started",), repeated=ChallengeRefusedError),
    "cancellation": Flow(_cancellation, ("recovery-cancelled",)),
    "end of one session": Flow(_end_of_one, ("session-ended",)),
    "sign-out": Flow(_sign_out, ("session-ended",)),
    "end of the others": Flow(_end_of_others, ("sessions-ended",)),
    "end of all": Flow(_end_of_all, ("sessions-ended",)),
}
