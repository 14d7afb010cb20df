"""What each role may do: the whole table. A change of a right is a change of this file.

Read with `docs/threat-model.md`: this is what a thief of one role's credentials holds.
"""

import re
import textwrap

import pytest

from tests.template import policies
from tests.template.policies import Right, rights, roles, statements
from tests.template.transformed import (
    data,
    functions,
    parent,
    readable,
    references,
    resources,
    short,
)

_PURPOSE = "StringEquals(kms:EncryptionContext:purpose={})"
_SECRET = _PURPOSE.format("secret") + " StringLike(kms:EncryptionContext:name={})"

SHORT = {
    "<ES256, digest>": "StringEquals(kms:SigningAlgorithm=ECDSA_SHA_256)"
    " StringEquals(kms:MessageType=DIGEST)",
    "<HMAC-SHA256>": "StringEquals(kms:MacAlgorithm=HMAC_SHA_256)",
    "<through DynamoDB>": "StringEquals(kms:ViaService=dynamodb.us-east-1.amazonaws.com)",
    "<no scan>": "Bool(dynamodb:FullTableScan=false)",
    "<but LOCKDOWN>": "ForAllValues:StringNotEquals(dynamodb:LeadingKeys=LOCKDOWN)"
    " Null(dynamodb:LeadingKeys=false)",
    "<secret refresh, sightings>": _SECRET.format("SECRET#refresh#*|SECRET#sightings#*"),
    "<secret nonce, sightings>": _SECRET.format("SECRET#nonce#*|SECRET#sightings#*"),
    "<secret refresh, nonce, sightings>": _SECRET.format(
        "SECRET#refresh#*|SECRET#nonce#*|SECRET#sightings#*"
    ),
    "<secret throttle>": _SECRET.format("SECRET#throttle#*"),
    "<purpose secret>": _PURPOSE.format("secret"),
    "<purpose identity>": _PURPOSE.format("identity"),
}
"""Limits that stand in the table below under a shorter name."""

RIGHTS = """\
auditor
    AuditBucket s3:ListBucket
    AuditBucket s3:ListBucketVersions
    AuditBucket/events/* s3:GetObjectVersion
    IdentityTable dynamodb:Query EVENT#* VERDICT#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    PublishFunction lambda:GetFunctionConfiguration
identity-account-options
    OnceTable dynamodb:GetItem PROOF#*
    OnceTable dynamodb:PartiQLInsert PROOF#* CHALLENGE#*
    OnceTable dynamodb:UpdateItem BUCKET#*
identity-add-passkey
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    CertifyEnrolmentFunctionAliaslive lambda:InvokeFunction
    EnrolmentKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <purpose identity>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <purpose identity>
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#* CREDENTIAL#*
    IdentityTable dynamodb:GetItem PERSON#*
    IdentityTable dynamodb:PartiQLInsert CREDENTIAL#* PERSON#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect SESSION#*
    IdentityTable dynamodb:PartiQLUpdate FACTORS#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem DEED#* APPROVAL#*
    OnceTable dynamodb:GetItem CHALLENGE#*
    OnceTable dynamodb:PartiQLInsert DEED#* APPROVAL#*
    OnceTable dynamodb:PartiQLUpdate CHALLENGE#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
identity-approval-options
    AccessTokenKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem FACTORS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:GetItem DEED#*
    OnceTable dynamodb:PartiQLInsert DEED#* CHALLENGE#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    StandingTable dynamodb:BatchGetItem
identity-approve
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    ApprovalKey kms:Sign <ES256, digest>
    EnrolmentKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <purpose identity>
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#* CREDENTIAL#* TOTP#* PERSON#*
    IdentityTable dynamodb:GetItem OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect SESSION#* FACTORS#*
    IdentityTable dynamodb:PartiQLUpdate CREDENTIAL#* TOTP#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem CHALLENGE#* DEED#* BACKOFF#* DEVICE#*
    OnceTable dynamodb:GetItem CHALLENGE#*
    OnceTable dynamodb:PartiQLInsert DEED#*
    OnceTable dynamodb:PartiQLUpdate CHALLENGE#* BACKOFF#*
    OnceTable dynamodb:UpdateItem BACKOFF#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLSelect <no scan>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-cancel-recovery
    AccessTokenKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* FACTORS#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem DEED#*
    OnceTable dynamodb:PartiQLInsert DEED#*
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-certify-enrolment
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    EnrolmentKey kms:GetPublicKey
    EnrolmentKey kms:Sign <ES256, digest>
    IdentityTable dynamodb:BatchGetItem CODE#* FACTORS#*
    IdentityTable dynamodb:GetItem ACCOUNT#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    IndexKey kms:GenerateMac <HMAC-SHA256>
    OnceTable dynamodb:GetItem CHALLENGE#*
    StandingTable dynamodb:BatchGetItem
identity-confirm-totp
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    EnrolmentKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <purpose identity>
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#* TOTP#* PERSON#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect SESSION#*
    IdentityTable dynamodb:PartiQLUpdate FACTORS#* TOTP#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem DEED#* APPROVAL#*
    OnceTable dynamodb:PartiQLInsert DEED#* APPROVAL#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
identity-end-session
    AccessTokenKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect SESSION#* FACTORS#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem DEED#*
    OnceTable dynamodb:PartiQLInsert DEED#*
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
identity-end-sessions
    AccessTokenKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect SESSION#* FACTORS#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem DEED#*
    OnceTable dynamodb:PartiQLInsert DEED#*
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-enrol-totp
    AccessTokenKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <purpose identity>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <purpose identity>
    IdentityTable dynamodb:GetItem PERSON#*
    IdentityTable dynamodb:PartiQLInsert TOTP#* PERSON#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:GetItem DEED#*
    OnceTable dynamodb:PartiQLInsert DEED#*
    OnceTable dynamodb:UpdateItem BUCKET#*
identity-gate
    AccessTokenKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <secret nonce, sightings>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <secret nonce, sightings>
    IdentityTable dynamodb:BatchGetItem SESSION#* SIGHTINGS#*
    IdentityTable dynamodb:UpdateItem SIGHTINGS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:GetItem SECRET#nonce#* SECRET#sightings#*
    OnceTable dynamodb:PartiQLInsert SECRET#nonce#* SECRET#sightings#*
    OnceTable dynamodb:PutItem PROOF#*
    RestrainFunctionAliaslive lambda:InvokeFunction
    StandingTable dynamodb:BatchGetItem
identity-jwks
    AccessTokenKey kms:GetPublicKey
identity-lift-lockdown
    IdentityTable dynamodb:BatchGetItem OUTBOX#LOCKDOWN
    IdentityTable dynamodb:PartiQLInsert EVENT#LOCKDOWN PENDING#*
    IdentityTable dynamodb:PartiQLUpdate OUTBOX#LOCKDOWN
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem COMMAND#*
    OnceTable dynamodb:PartiQLInsert COMMAND#*
    RegistryTable dynamodb:BatchGetItem OPERATOR#*
    StandingTable dynamodb:BatchGetItem LOCKDOWN
    StandingTable dynamodb:PartiQLUpdate LOCKDOWN
identity-lift-quarantine
    IdentityTable dynamodb:BatchGetItem OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem COMMAND#*
    OnceTable dynamodb:PartiQLInsert COMMAND#*
    RegistryTable dynamodb:BatchGetItem OPERATOR#*
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-list-passkeys
    AccessTokenKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <purpose identity>
    IdentityTable dynamodb:BatchGetItem CREDENTIAL#* PERSON#*
    IdentityTable dynamodb:GetItem FACTORS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
identity-list-sessions
    AccessTokenKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem SESSIONS#* SESSION#* SIGHTINGS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    StandingTable dynamodb:BatchGetItem
identity-lock-down
    IdentityTable dynamodb:BatchGetItem OUTBOX#LOCKDOWN
    IdentityTable dynamodb:PartiQLInsert OUTBOX#LOCKDOWN EVENT#LOCKDOWN PENDING#*
    IdentityTable dynamodb:PartiQLUpdate OUTBOX#LOCKDOWN
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem COMMAND#*
    OnceTable dynamodb:PartiQLInsert COMMAND#*
    RegistryTable dynamodb:BatchGetItem OPERATOR#*
    StandingTable dynamodb:BatchGetItem LOCKDOWN
    StandingTable dynamodb:PartiQLInsert LOCKDOWN
    StandingTable dynamodb:PartiQLUpdate LOCKDOWN
identity-mint-recovery-codes
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    EnrolmentKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert CODE#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect SESSION#*
    IdentityTable dynamodb:PartiQLUpdate FACTORS#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    IndexKey kms:GenerateMac <HMAC-SHA256>
    OnceTable dynamodb:BatchGetItem DEED#* APPROVAL#*
    OnceTable dynamodb:PartiQLInsert DEED#* APPROVAL#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
identity-open-account
    CertifyEnrolmentFunctionAliaslive lambda:InvokeFunction
    IdentityTable dynamodb:BatchGetItem CREDENTIAL#*
    IdentityTable dynamodb:PartiQLInsert ACCOUNT#* CREDENTIAL#* FACTORS#* SESSIONS#* OUTBOX#*
        EVENT#* PENDING#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem PROOF#*
    OnceTable dynamodb:GetItem CHALLENGE#*
    OnceTable dynamodb:PartiQLInsert PROOF#*
    OnceTable dynamodb:PartiQLUpdate CHALLENGE#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    StandingTable dynamodb:PartiQLInsert <but LOCKDOWN>
identity-passkey-options
    AccessTokenKey kms:GetPublicKey
    IdentityTable dynamodb:GetItem FACTORS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:GetItem DEED#*
    OnceTable dynamodb:PartiQLInsert DEED#* CHALLENGE#*
    OnceTable dynamodb:UpdateItem BUCKET#*
identity-password-sign-in
    IdentityDataKey kms:Decrypt <secret throttle>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <secret throttle>
    IdentityTable dynamodb:BatchGetItem LOGIN#* PASSWORD#* FACTORS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    IndexKey kms:GenerateMac <HMAC-SHA256>
    OnceTable dynamodb:GetItem SECRET#throttle#*
    OnceTable dynamodb:PartiQLInsert SECRET#throttle#*
    OnceTable dynamodb:PartiQLInsert TICKET#*
    OnceTable dynamodb:PutItem PROOF#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    PepperKey kms:VerifyMac <HMAC-SHA256>
    StandingTable dynamodb:BatchGetItem
identity-put-password
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    EnrolmentKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <purpose identity>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <purpose identity>
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#* LOGIN#*
    IdentityTable dynamodb:GetItem PERSON#*
    IdentityTable dynamodb:PartiQLInsert PASSWORD#* LOGIN#* PERSON#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect SESSION#*
    IdentityTable dynamodb:PartiQLUpdate FACTORS#* LOGIN#* SESSION#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    IndexKey kms:GenerateMac <HMAC-SHA256>
    OnceTable dynamodb:BatchGetItem DEED#* APPROVAL#*
    OnceTable dynamodb:PartiQLInsert DEED#* APPROVAL#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    PepperKey kms:GenerateMac <HMAC-SHA256>
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLSelect <no scan>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-recover
    CertifyEnrolmentFunctionAliaslive lambda:InvokeFunction
    IdentityTable dynamodb:BatchGetItem CODE#* FACTORS#* CREDENTIAL#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert CREDENTIAL#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate CODE#* FACTORS#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    IndexKey kms:GenerateMac <HMAC-SHA256>
    OnceTable dynamodb:BatchGetItem PROOF#*
    OnceTable dynamodb:GetItem CHALLENGE#*
    OnceTable dynamodb:PartiQLInsert PROOF#*
    OnceTable dynamodb:PartiQLUpdate CHALLENGE#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-recovery-options
    IdentityTable dynamodb:BatchGetItem CODE#* FACTORS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    IndexKey kms:GenerateMac <HMAC-SHA256>
    OnceTable dynamodb:GetItem DEED#*
    OnceTable dynamodb:PartiQLInsert DEED#* CHALLENGE#*
    OnceTable dynamodb:PutItem PROOF#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    StandingTable dynamodb:BatchGetItem
identity-refresh
    AccessTokenKey kms:GetPublicKey
    AccessTokenKey kms:Sign <ES256, digest>
    IdentityDataKey kms:Decrypt <secret refresh, nonce, sightings>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <secret refresh, nonce, sightings>
    IdentityTable dynamodb:BatchGetItem SESSION#* SIGHTINGS#* OUTBOX#*
    IdentityTable dynamodb:ConditionCheckItem SIGHTINGS#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* OUTBOX#*
    IdentityTable dynamodb:UpdateItem SESSION#* SIGHTINGS#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem PROOF#*
    OnceTable dynamodb:GetItem SECRET#refresh#* SECRET#nonce#* SECRET#sightings#*
    OnceTable dynamodb:PartiQLInsert SECRET#refresh#* SECRET#nonce#* SECRET#sightings#*
    OnceTable dynamodb:PutItem PROOF#*
    RestrainFunctionAliaslive lambda:InvokeFunction
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:ConditionCheckItem
identity-release-account
    IdentityTable dynamodb:BatchGetItem FACTORS#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert CODE#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate FACTORS#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    IndexKey kms:GenerateMac <HMAC-SHA256>
    OnceTable dynamodb:BatchGetItem COMMAND#*
    OnceTable dynamodb:PartiQLInsert COMMAND#*
    RegistryTable dynamodb:BatchGetItem OPERATOR#*
identity-remove-passkey
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    EnrolmentKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* FACTORS#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem DEED#* APPROVAL#*
    OnceTable dynamodb:PartiQLInsert DEED#* APPROVAL#*
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-remove-totp
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    EnrolmentKey kms:GetPublicKey
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* FACTORS#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem DEED#* APPROVAL#*
    OnceTable dynamodb:PartiQLInsert DEED#* APPROVAL#*
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-rename-passkey
    AccessTokenKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <purpose identity>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <purpose identity>
    IdentityTable dynamodb:BatchGetItem SESSION#* FACTORS#* OUTBOX#*
    IdentityTable dynamodb:GetItem PERSON#*
    IdentityTable dynamodb:PartiQLInsert PERSON#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect SESSION#*
    IdentityTable dynamodb:PartiQLUpdate FACTORS#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem DEED#*
    OnceTable dynamodb:PartiQLInsert DEED#*
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
identity-restrain
    IdentityTable dynamodb:BatchGetItem OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert VERDICT#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    StandingTable dynamodb:BatchGetItem <but LOCKDOWN>
    StandingTable dynamodb:PartiQLUpdate <but LOCKDOWN>
identity-revoke
    IdentityTable dynamodb:BatchGetItem SESSION#* OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLUpdate SESSION#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
identity-second-factor
    AccessTokenKey kms:GetPublicKey
    AccessTokenKey kms:Sign <ES256, digest>
    EnrolmentKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <purpose identity>
    IdentityDataKey kms:Decrypt <secret refresh, sightings>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <secret refresh, sightings>
    IdentityTable dynamodb:BatchGetItem TOTP#* PERSON#* CREDENTIAL#* FACTORS#* SESSIONS#* SESSION#*
        SIGHTINGS#* OUTBOX#*
    IdentityTable dynamodb:GetItem OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert SESSION#* SIGHTINGS#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect FACTORS#*
    IdentityTable dynamodb:PartiQLUpdate TOTP#* CREDENTIAL#* SESSIONS#* SESSION#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem TICKET#* CHALLENGE#* BACKOFF#* DEVICE#*
    OnceTable dynamodb:GetItem SECRET#refresh#* SECRET#sightings#*
    OnceTable dynamodb:GetItem TICKET#* PROOF#*
    OnceTable dynamodb:PartiQLInsert PROOF#* DEVICE#*
    OnceTable dynamodb:PartiQLInsert SECRET#refresh#* SECRET#sightings#*
    OnceTable dynamodb:PartiQLUpdate TICKET#* CHALLENGE#* BACKOFF#* DEVICE#*
    OnceTable dynamodb:UpdateItem BACKOFF#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    RestrainFunctionAliaslive lambda:InvokeFunction
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
identity-session-options
    OnceTable dynamodb:GetItem PROOF#*
    OnceTable dynamodb:PartiQLInsert PROOF#* CHALLENGE#*
    OnceTable dynamodb:UpdateItem BUCKET#*
identity-sign-in
    AccessTokenKey kms:GetPublicKey
    AccessTokenKey kms:Sign <ES256, digest>
    EnrolmentKey kms:GetPublicKey
    IdentityDataKey kms:Decrypt <secret refresh, sightings>
    IdentityDataKey kms:GenerateDataKeyWithoutPlaintext <secret refresh, sightings>
    IdentityTable dynamodb:BatchGetItem CREDENTIAL#* FACTORS#* SESSIONS#* SESSION#* SIGHTINGS#*
        OUTBOX#*
    IdentityTable dynamodb:PartiQLInsert SESSION#* SIGHTINGS#* EVENT#* PENDING#*
    IdentityTable dynamodb:PartiQLSelect FACTORS#*
    IdentityTable dynamodb:PartiQLUpdate CREDENTIAL#* SESSIONS#* SESSION#* OUTBOX#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    OnceTable dynamodb:BatchGetItem CHALLENGE#*
    OnceTable dynamodb:GetItem PROOF#*
    OnceTable dynamodb:GetItem SECRET#refresh#* SECRET#sightings#*
    OnceTable dynamodb:PartiQLInsert PROOF#*
    OnceTable dynamodb:PartiQLInsert SECRET#refresh#* SECRET#sightings#*
    OnceTable dynamodb:PartiQLUpdate CHALLENGE#*
    OnceTable dynamodb:UpdateItem BUCKET#*
    RestrainFunctionAliaslive lambda:InvokeFunction
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
ledger-deposit
    BalancesTable dynamodb:BatchGetItem WALLET#* HOUSE#*
    BalancesTable dynamodb:PartiQLInsert HOUSE#*
    BalancesTable dynamodb:PartiQLUpdate WALLET#* HOUSE#*
    JournalTable dynamodb:BatchGetItem IDEMPOTENCY#*
    JournalTable dynamodb:GetItem POSTING#*
    JournalTable dynamodb:PartiQLInsert POSTING#* ENTRIES#* IDEMPOTENCY#*
    LedgerOnceTable dynamodb:BatchGetItem COMMAND#*
    LedgerOnceTable dynamodb:PartiQLInsert COMMAND#*
    ReceiptKey kms:GetPublicKey
    ReceiptKey kms:Sign <ES256, digest>
    RegistryTable dynamodb:GetItem PARTNER#*
ledger-entries
    AccessTokenKey kms:GetPublicKey
    BalancesTable dynamodb:GetItem WALLET#*
    JournalTable dynamodb:Query ENTRIES#*
    LedgerDataKey kms:Decrypt <purpose secret>
    LedgerDataKey kms:GenerateDataKeyWithoutPlaintext <purpose secret>
    LedgerOnceTable dynamodb:GetItem SECRET#cursor#*
    LedgerOnceTable dynamodb:PartiQLInsert SECRET#cursor#*
ledger-post
    AccessTokenKey kms:GetPublicKey
    ApprovalKey kms:GetPublicKey
    BalancesTable dynamodb:BatchGetItem WALLET#*
    BalancesTable dynamodb:PartiQLInsert WALLET#*
    BalancesTable dynamodb:PartiQLUpdate WALLET#*
    CommandKey kms:GetPublicKey
    EnrolmentKey kms:GetPublicKey
    JournalTable dynamodb:BatchGetItem IDEMPOTENCY#*
    JournalTable dynamodb:GetItem POSTING#*
    JournalTable dynamodb:PartiQLInsert POSTING#* ENTRIES#* IDEMPOTENCY#*
    LedgerOnceTable dynamodb:BatchGetItem PROOF#* COMMAND#* APPROVAL#*
    LedgerOnceTable dynamodb:PartiQLInsert PROOF#* COMMAND#* APPROVAL#*
    ReceiptKey kms:GetPublicKey
    ReceiptKey kms:Sign <ES256, digest>
    StandingTable dynamodb:BatchGetItem
    StandingTable dynamodb:PartiQLSelect <no scan>
ledger-wallets
    AccessTokenKey kms:GetPublicKey
    BalancesTable dynamodb:Query WALLET#*
money-list-entries
    AccessTokenKey kms:GetPublicKey
    InternalApi/{Stage}/GET/wallets/*/entries execute-api:Invoke
money-list-wallets
    AccessTokenKey kms:GetPublicKey
    InternalApi/{Stage}/GET/wallets execute-api:Invoke
money-open-wallet
    AccessTokenKey kms:GetPublicKey
    CommandKey kms:GetPublicKey
    CommandKey kms:Sign <ES256, digest>
    InternalApi/{Stage}/POST/postings execute-api:Invoke
    ReceiptKey kms:GetPublicKey
money-order-transfer
    AccessTokenKey kms:GetPublicKey
    CommandKey kms:GetPublicKey
    CommandKey kms:Sign <ES256, digest>
    InternalApi/{Stage}/POST/postings execute-api:Invoke
    ReceiptKey kms:GetPublicKey
operations-publish
    AuditBucket s3:ListBucket
    AuditBucket/events/* s3:GetObject
    AuditBucket/events/* s3:PutObject
    EventBus events:PutEvents
    FailuresBucket s3:ListBucket
    FailuresBucket/* s3:PutObject
    IdentityTable dynamodb:BatchGetItem OUTBOX#* PUBLISHED#* GAP#*
    IdentityTable dynamodb:DeleteItem PENDING#*
    IdentityTable dynamodb:PartiQLInsert PUBLISHED#*
    IdentityTable dynamodb:PartiQLUpdate PUBLISHED#*
    IdentityTable dynamodb:Query EVENT#* PENDING#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    IdentityTableStream dynamodb:DescribeStream
    IdentityTableStream dynamodb:GetRecords
    IdentityTableStream dynamodb:GetShardIterator
    IdentityTableStream dynamodb:ListStreams
    NoticesTopic sns:Publish
operations-reconcile
    AuditBucket s3:ListBucket
    AuditBucket/events/* s3:GetObject
    AuditBucket/events/* s3:PutObject
    EventBus events:PutEvents
    IdentityTable dynamodb:BatchGetItem OUTBOX#* PUBLISHED#* GAP#*
    IdentityTable dynamodb:DeleteItem PENDING#*
    IdentityTable dynamodb:PartiQLInsert PUBLISHED#*
    IdentityTable dynamodb:PartiQLUpdate PUBLISHED#*
    IdentityTable dynamodb:Query EVENT#* PENDING#*
    IdentityTableKey kms:Decrypt <through DynamoDB>
    IdentityTableKey kms:GenerateDataKey <through DynamoDB>
    NoticesTopic sns:Publish
operations-register-operator
    RegistryTable dynamodb:GetItem OPERATOR#*
    RegistryTable dynamodb:PartiQLInsert OPERATOR#*
operations-register-partner
    RegistryTable dynamodb:GetItem PARTNER#*
    RegistryTable dynamodb:PartiQLInsert PARTNER#*
operator
    InternalApi/{Stage}/POST/accounts/*/lift execute-api:Invoke
    InternalApi/{Stage}/POST/accounts/*/release execute-api:Invoke
    InternalApi/{Stage}/POST/lockdown execute-api:Invoke
    InternalApi/{Stage}/POST/lockdown/lift execute-api:Invoke
partner-sandbox
    InternalApi/{Stage}/POST/deposits execute-api:Invoke
"""
"""Resource, action, limits: key prefixes are `dynamodb:LeadingKeys`. Logs are tested apart."""

MAY_SIGN = {
    "AccessTokenKey": {"identity-refresh", "identity-second-factor", "identity-sign-in"},
    "ApprovalKey": {"identity-approve"},
    "CommandKey": {"money-open-wallet", "money-order-transfer"},
    "EnrolmentKey": {"identity-certify-enrolment"},
    "ReceiptKey": {"ledger-deposit", "ledger-post"},
}
KEEPS_HISTORY = {
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:Query",
}
"""None of these can replace, change or remove an item that is there."""
READS = {
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLSelect",
    "dynamodb:Query",
}
READERS = {
    "identity-list-passkeys",
    "identity-list-sessions",
    "ledger-entries",
    "ledger-wallets",
    "money-list-entries",
    "money-list-wallets",
}
WRITE_CREDENTIALS = {"identity-add-passkey", "identity-open-account", "identity-recover"}
CHANGE_FACTORS = {
    "identity-add-passkey",
    "identity-cancel-recovery",
    "identity-confirm-totp",
    "identity-mint-recovery-codes",
    "identity-put-password",
    "identity-recover",
    "identity-release-account",
    "identity-remove-passkey",
    "identity-remove-totp",
    "identity-rename-passkey",
}
RAISE_EPOCHS = {
    "identity-cancel-recovery",
    "identity-end-sessions",
    "identity-put-password",
    "identity-recover",
    "identity-remove-passkey",
    "identity-remove-totp",
    "identity-restrain",
}
LIFT = {"identity-approve", "identity-lift-quarantine"}
"""Who ends a quarantine: its owner's strongest factor, or two operators."""
RESTRAIN = {"identity-gate", "identity-refresh", "identity-second-factor", "identity-sign-in"}
PARTITIONLESS = {"StandingTable"}
"""Its keys are account ids, without a type before them: one type of item, PII-free."""
STREAM = "IdentityTableStream"
PUBLISHERS = {"operations-publish", "operations-reconcile"}
"""Who carries events out of the platform: from the stream, and from what it left behind."""
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}
SANDBOX = {"operator": "HasSandboxOperator", "partner-sandbox": "HasSandboxPartner"}
"""Roles that only tests take on, and under which condition each exists."""
AUDITOR = "auditor"
"""The role of a person who looks at what was decided and what happened."""
LISTS_OF_KEYS = {
    f"Outputs.{kind}Keys" for kind in ("AccessToken", "Approval", "Enrolment", "Index", "Pepper")
}
"""ARNs, the current key's first, then those that a roll-over still lists."""
OBJECTS_OF_BUCKETS = ("${Data.Outputs.AuditBucketArn}/", "${Data.Outputs.FailuresBucketArn}/")
REFERRED_TO_BY_ARN = {
    "CertifyEnrolmentFunctionAliaslive",
    "NoticesTopic",
    "RestrainFunctionAliaslive",
}
"""CloudFormation's reference to an alias or a topic is its ARN."""


def table() -> str:
    """Return the actual rights in the form of `RIGHTS`."""
    lines: list[str] = []
    for name in sorted(roles()):
        lines.append(name)
        lines += [_line(right) for right in policies.of(name) if right.action not in LOGGING]
    return "\n".join(lines) + "\n"


def _line(right: Right) -> str:
    text = str(right)
    for abbreviation, limit in SHORT.items():
        text = text.replace(limit, abbreviation)
    return textwrap.fill(text, 99, initial_indent="    ", subsequent_indent="        ")


def holders(on: str, *actions: str) -> set[str]:
    """Return the roles that hold one of the actions on a resource."""
    return {right.role for right in rights() if right.on == on and right.action in actions}


def writes(right: Right) -> bool:
    """Return whether a right changes what a table holds."""
    return right.action.startswith("dynamodb:") and right.action not in READS


def writers(prefix: str, *actions: str) -> set[str]:
    """Return the roles that may write items of one type, by one of the actions if any is named."""
    return {
        right.role
        for right in rights()
        if writes(right)
        and f"{prefix}*" in right.limits.split()
        and (not actions or right.action in actions)
    }


def test_every_right_of_every_role_stands_in_this_table() -> None:
    """A role may do what is written here, and nothing else."""
    assert table() == RIGHTS


def test_no_right_is_for_every_action_or_every_resource() -> None:
    """No role may do everything of anything, nor anything to everything."""
    wide = [
        str(right)
        for right in rights()
        if "*" in right.action or "?" in right.action or re.match(r"[*?]|arn:.*[*?]", right.on)
    ]
    assert wide == []


def test_the_only_wildcards_in_a_resource_are_parameters_and_objects() -> None:
    """A route's parameter and an object's name are all that a role's resource leaves open."""
    assert {right.on for right in rights() if "*" in right.on} == {
        "AuditBucket/events/*",
        "FailuresBucket/*",
        "InternalApi/{Stage}/GET/wallets/*/entries",
        "InternalApi/{Stage}/POST/accounts/*/lift",
        "InternalApi/{Stage}/POST/accounts/*/release",
    }


def test_no_statement_allows_by_leaving_out() -> None:
    """Neither NotAction nor NotResource is used, and nothing but Allow, so the table is whole."""
    shapes = {
        frozenset(statement) - {"Condition"}
        for role in roles().values()
        for statement in statements(role)
    }
    assert shapes == {frozenset({"Effect", "Action", "Resource"})}
    assert all(
        statement["Effect"] == "Allow"
        for role in roles().values()
        for statement in statements(role)
    )


def test_policies_stand_inside_their_roles_alone() -> None:
    """No managed policy, no policy resource, and no role that SAM made: nothing is out of sight."""
    assert [name for name, role in roles().items() if "ManagedPolicyArns" in role] == []
    attached = ("Policy", "ManagedPolicy", "RolePolicy", "UserPolicy", "GroupPolicy")
    assert [kind for kind in attached if resources(f"AWS::IAM::{kind}")] == []
    assert set(roles()) == {*functions(), *SANDBOX, AUDITOR}


def test_every_function_has_a_role_of_its_own() -> None:
    """No two functions share a role, and a role is called like its function."""
    for name, function in functions().items():
        (resource,) = references(function["Role"])
        assert short(resources("AWS::IAM::Role")[resource]["Properties"]["RoleName"]) == name


def test_only_lambda_can_take_on_a_function_s_role() -> None:
    """A function's role trusts the Lambda service; the sandbox's the account; the auditor's one."""
    trusted = {
        name: readable(role["AssumeRolePolicyDocument"]["Statement"])
        for name, role in roles().items()
    }
    for name in SANDBOX:
        assert trusted.pop(name) == [
            {
                "Effect": "Allow",
                "Principal": {"AWS": policies.ACCOUNT_ROOT},
                "Action": ["sts:AssumeRole"],
            }
        ]
    assert trusted.pop(AUDITOR) == [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "{AuditorPrincipal}"},
            "Action": ["sts:AssumeRole"],
        }
    ]
    for statement in trusted.values():
        assert statement == [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": ["sts:AssumeRole"],
            }
        ]


def test_the_sandbox_exists_only_where_it_is_asked_for() -> None:
    """A deployment that says nothing has no role that the whole account can take on."""
    declared = {
        short(role["Properties"]["RoleName"]): role.get("Condition")
        for role in resources("AWS::IAM::Role").values()
    }
    assert {name: declared[name] for name in SANDBOX} == SANDBOX
    assert declared.pop(AUDITOR) == "HasAuditor"
    assert {condition for name, condition in declared.items() if name not in SANDBOX} == {None}
    for kind in ("Partner", "Operator"):
        assert parent()["Conditions"][f"HasSandbox{kind}"] == {
            "Fn::Equals": [{"Ref": f"Sandbox{kind}"}, "true"]
        }
        assert parent()["Parameters"][f"Sandbox{kind}"]["Default"] == "false"


def test_there_is_an_auditor_only_where_one_is_named() -> None:
    """A deployment that names nobody has no role that a person can read with."""
    assert parent()["Parameters"]["AuditorPrincipal"]["Default"] == ""
    assert parent()["Conditions"]["HasAuditor"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "AuditorPrincipal"}, ""]}]
    }


def test_an_auditor_reads_what_was_decided_and_changes_nothing() -> None:
    """No session, no factor and no person is in reach, and no table is scanned."""
    held = policies.of(AUDITOR)
    assert [right for right in held if writes(right)] == []
    assert {right.limits for right in held if right.on == "IdentityTable"} == {"EVENT#* VERDICT#*"}
    assert {right.on for right in held if right.action.startswith("dynamodb:")} == {"IdentityTable"}
    assert {right.on for right in held if right.action.startswith("kms:")} == {"IdentityTableKey"}


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_function_writes_the_log_of_its_own_zone(name: str) -> None:
    """Logging is two actions on the zone's own group, where the function really logs."""
    group = f"{name.partition('-')[0].capitalize()}Logs"
    assert readable(functions()[name]["LoggingConfig"]) == {"LogGroup": group}
    logging = [right for right in policies.of(name) if right.action in LOGGING]
    assert {(right.on, right.limits) for right in logging} == {(group, "")}
    assert {right.action for right in logging} == LOGGING


def test_resources_are_named_by_arn() -> None:
    """A resource that is not an ARN matches nothing on AWS, however right the table looks."""
    for role in resources("AWS::IAM::Role").values():
        for statement in statements(role["Properties"]):
            named = statement["Resource"]
            for one in named if isinstance(named, list) else [named]:
                match one:
                    case {"Fn::GetAtt": [_, str(attribute)]}:
                        assert attribute.endswith("Arn")
                    case {"Fn::Split": [",", {"Fn::GetAtt": [_, str(attribute)]}]}:
                        assert attribute in LISTS_OF_KEYS
                    case {"Ref": str(named)}:
                        assert named in REFERRED_TO_BY_ARN
                    case {"Fn::Sub": str(text)}:
                        assert text.startswith(
                            ("arn:${AWS::Partition}:execute-api:", *OBJECTS_OF_BUCKETS)
                        )
                    case _:
                        pytest.fail(f"{one} is no ARN")


def test_access_to_a_typed_table_is_limited_to_types() -> None:
    """Where keys begin with a type, every right names the types that it is for."""
    unlimited = [
        (right.role, str(right))
        for right in rights()
        if right.action.startswith("dynamodb:")
        and right.on not in PARTITIONLESS | {STREAM}
        and not all(
            re.fullmatch(r"[A-Z]+#((\w+#)?\*|LOCKDOWN)", one) for one in right.limits.split(" ")
        )
    ]
    assert unlimited == []


def test_no_role_can_remove_an_item() -> None:
    """Nothing is deleted by a function: what ends, ends by status or by TTL.

    But for the note that an account has events to publish, once they are published.
    """
    removing = [right for right in rights() if re.search("Delete|BatchWrite", right.action)]
    assert {(right.role, str(right)) for right in removing} == {
        (role, "IdentityTable dynamodb:DeleteItem PENDING#*") for role in PUBLISHERS
    }


def test_no_role_can_rewrite_history() -> None:
    """Every right on the Journal reads, or inserts what is not there: append-only by IAM."""
    actions = {right.action for right in rights() if right.on == "JournalTable"}
    assert actions <= KEEPS_HISTORY


def test_no_role_can_rewrite_events() -> None:
    """An event of the outbox is inserted once: whoever writes them cannot put another in place."""
    written = [right for right in rights() if "EVENT#" in right.limits and writes(right)]
    assert {right.action for right in written} == {"dynamodb:PartiQLInsert"}


@pytest.mark.parametrize("kind", ["ACCOUNT#", "CREDENTIAL#", "FACTORS#", "SESSIONS#", "EVENT#"])
def test_opening_an_account_touches_no_other_account(kind: str) -> None:
    """The role that opens accounts creates what is not there, and replaces nobody's passkey."""
    held = [
        right
        for right in policies.of("identity-open-account")
        if writes(right) and (kind in right.limits or right.on == "StandingTable")
    ]
    assert {right.action for right in held} == {"dynamodb:PartiQLInsert"}


def test_revoking_needs_no_secret() -> None:
    """A thief of the revoking role ends sessions; it makes no token, and starts no session."""
    held = policies.of("identity-revoke")
    assert {right.on for right in held if right.action.startswith("kms:")} == {"IdentityTableKey"}
    assert [right for right in held if "SECRET#" in right.limits] == []
    inserted = {right.limits for right in held if right.action == "dynamodb:PartiQLInsert"}
    assert inserted == {"EVENT#* PENDING#*"}


def test_nobody_lists_whom_the_platform_knows() -> None:
    """Standing is selected by its whole key: a scan would name every account."""
    selecting = [right for right in rights() if right.action == "dynamodb:PartiQLSelect"]
    unprefixed = {right.limits for right in selecting if right.on in PARTITIONLESS}
    assert unprefixed == {"Bool(dynamodb:FullTableScan=false)"}
    assert [right for right in rights() if right.action == "dynamodb:Scan"] == []


def on_secret_items() -> list[Right]:
    """Return the rights on items that hold a wrapped secret."""
    return [
        right
        for right in rights()
        if right.action.startswith("dynamodb:") and "SECRET#" in right.limits
    ]


def test_a_zone_s_secret_is_made_but_never_replaced() -> None:
    """Whoever may touch a SECRET item reads it or inserts it: PutItem would swap it."""
    assert {right.action for right in on_secret_items()} == {
        "dynamodb:GetItem",
        "dynamodb:PartiQLInsert",
    }


@pytest.mark.parametrize("role", sorted(holders("IdentityDataKey", "kms:Decrypt")))
def test_a_role_unwraps_the_secrets_alone_that_it_may_read(role: str) -> None:
    """With a dump of the table the gate's role still opens no pepper of refresh tokens."""
    read = {
        name for right in on_secret_items() if right.role == role for name in right.limits.split()
    }
    opened = {
        name
        for right in policies.of(role)
        if right.on == "IdentityDataKey" and right.action == "kms:Decrypt"
        for name in re.findall(r"SECRET#\w+#\*", right.limits)
    }
    assert opened == read


@pytest.mark.parametrize("key", sorted(MAY_SIGN))
def test_each_signing_key_signs_for_its_own_roles_alone(key: str) -> None:
    """Tokens by sign-ins and refresh, commands by orders, receipts by postings, and so on."""
    assert holders(key, "kms:Sign") == MAY_SIGN[key]


def test_there_is_no_other_signing_right() -> None:
    """No role signs with a key that is not in the list of signing keys."""
    assert {right.on for right in rights() if right.action == "kms:Sign"} == set(MAY_SIGN)


@pytest.mark.parametrize("role", sorted(READERS))
def test_a_reader_can_neither_sign_nor_change_anything(role: str) -> None:
    """A reader's role signs nothing and writes no item but the zone's cursor secret, once."""
    held = policies.of(role)
    assert [right for right in held if right.action == "kms:Sign"] == []
    written = {str(right) for right in held if writes(right)}
    assert written <= {"LedgerOnceTable dynamodb:PartiQLInsert SECRET#cursor#*"}


def test_the_money_zone_touches_no_table() -> None:
    """A money role holds no DynamoDB right at all."""
    money = [right for right in rights() if right.role.startswith("money-")]
    assert money
    assert [right for right in money if right.action.startswith("dynamodb:")] == []


def test_the_gate_changes_neither_standing_nor_sessions() -> None:
    """The gate uses proofs up and notes what it saw; whom it lets in, it cannot decide."""
    written = {str(right) for right in policies.of("identity-gate") if writes(right)}
    assert written == {
        "IdentityTable dynamodb:UpdateItem SIGHTINGS#*",
        "OnceTable dynamodb:PartiQLInsert SECRET#nonce#* SECRET#sightings#*",
        "OnceTable dynamodb:PutItem PROOF#*",
    }


@pytest.mark.parametrize("role", sorted(RESTRAIN))
def test_who_meets_the_world_changes_no_standing(role: str) -> None:
    """Gate, refresh and sign-ins have restraint done: no verdict, and no standing, is theirs."""
    written = [right for right in policies.of(role) if writes(right)]
    assert [right for right in written if right.on == "StandingTable"] == []
    assert [right for right in written if "VERDICT#" in right.limits] == []


def test_verdicts_are_recorded_by_the_role_that_acts_on_them_and_never_changed() -> None:
    """What `make replay` judges again was inserted once, beside the event, by one role."""
    on_verdicts = {(one.role, one.action) for one in rights() if "VERDICT#" in one.limits}
    assert on_verdicts == {
        ("identity-restrain", "dynamodb:PartiQLInsert"),
        (AUDITOR, "dynamodb:Query"),
    }


def test_who_restrains_touches_nothing_but_the_standing_and_the_record() -> None:
    """It reads no session, no factor and no secret, and holds no key but the table's."""
    held = policies.of("identity-restrain")
    assert {name for one in held for name in one.limits.split() if name.endswith("#*")} == {
        "EVENT#*",
        "OUTBOX#*",
        "PENDING#*",
        "VERDICT#*",
    }
    assert {one.on for one in held if one.action.startswith("kms:")} == {"IdentityTableKey"}


def test_standing_is_made_by_one_role_and_changed_by_those_that_kill_or_lift() -> None:
    """Neither the gate, nor a sign-in, nor a refresh can lift what stands against an account."""
    on_accounts = [
        right
        for right in rights()
        if right.on == "StandingTable" and writes(right) and right.limits != "LOCKDOWN"
    ]
    inserting = {one.role for one in on_accounts if one.action == "dynamodb:PartiQLInsert"}
    assert inserting == {"identity-open-account"}
    changing = {right.role for right in on_accounts if right.action != "dynamodb:PartiQLInsert"}
    assert changing == RAISE_EPOCHS | LIFT
    assert {one.action for one in on_accounts} == {
        "dynamodb:PartiQLInsert",
        "dynamodb:PartiQLUpdate",
    }


def test_the_lockdown_is_written_by_two_roles_that_write_no_standing() -> None:
    """Nobody who writes standings can freeze or lift, and who freezes or lifts writes no other."""
    written = [right for right in rights() if right.on == "StandingTable" and writes(right)]
    on_lockdown = {right.role for right in written if right.limits == "LOCKDOWN"}
    assert on_lockdown == {"identity-lift-lockdown", "identity-lock-down"}
    assert {right.limits for right in written if right.role not in on_lockdown} == {
        SHORT["<but LOCKDOWN>"]
    }


def test_who_freezes_and_who_lifts_is_told_apart_in_events_too() -> None:
    """Neither role can write what another account is told."""
    for role in ("identity-lift-lockdown", "identity-lock-down"):
        on_events = {
            right.limits
            for right in policies.of(role)
            if right.on == "IdentityTable" and right.action == "dynamodb:PartiQLUpdate"
        }
        assert on_events == {"OUTBOX#LOCKDOWN"}


def test_a_session_is_started_by_a_complete_sign_in_alone() -> None:
    """Nobody else inserts a session, and no action but the insert of a new one can make one."""
    assert writers("SESSION#", "dynamodb:PartiQLInsert") == {
        "identity-second-factor",
        "identity-sign-in",
    }
    makes = {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:UpdateItem"}
    assert {right.action for right in rights() if writes(right) and "SESSION#" in right.limits} <= (
        makes
    )
    assert writers("SESSION#", "dynamodb:UpdateItem") == {"identity-refresh"}


def test_the_first_half_of_a_sign_in_opens_nothing() -> None:
    """Who checks passwords signs nothing, starts no session and reads no TOTP secret."""
    held = policies.of("identity-password-sign-in")
    assert [right for right in held if right.action == "kms:Sign"] == []
    named = {name for right in held for name in right.limits.split()}
    assert not named & {"SESSION#*", "SESSIONS#*", "TOTP#*", "PERSON#*", "SECRET#refresh#*"}
    assert {str(right) for right in held if writes(right) and right.on != "OnceTable"} == set()


def test_the_pepper_is_put_in_by_one_role_and_asked_about_by_another() -> None:
    """Who sets passwords cannot try one, and who tries them cannot make the MAC of one."""
    assert holders("PepperKey", "kms:GenerateMac") == {"identity-put-password"}
    assert holders("PepperKey", "kms:VerifyMac") == {"identity-password-sign-in"}
    assert {right.action for right in rights() if right.on == "PepperKey"} == {
        "kms:GenerateMac",
        "kms:VerifyMac",
    }


def test_a_password_is_stored_by_one_role_once() -> None:
    """A verifier is inserted beside the older ones: nobody can change or replace one."""
    assert writers("PASSWORD#") == {"identity-put-password"}
    stored = {right.action for right in rights() if "PASSWORD#" in right.limits and writes(right)}
    assert stored == {"dynamodb:PartiQLInsert"}


def test_the_certifier_writes_nothing() -> None:
    """The role that signs enrolments changes no item of any table: it can enrol nobody."""
    held = policies.of("identity-certify-enrolment")
    assert [right for right in held if writes(right)] == []


def test_who_writes_a_credential_cannot_certify_it() -> None:
    """A passkey comes into an account by two roles: one inserts it, another signs for it."""
    assert writers("CREDENTIAL#", "dynamodb:PartiQLInsert") == WRITE_CREDENTIALS
    assert holders("EnrolmentKey", "kms:Sign") & writers("CREDENTIAL#") == set()


INVOKED = {
    "CertifyEnrolmentFunctionAliaslive": WRITE_CREDENTIALS,
    "RestrainFunctionAliaslive": RESTRAIN,
}


@pytest.mark.parametrize("alias", sorted(INVOKED))
def test_a_function_that_functions_invoke_has_no_other_door(alias: str) -> None:
    """Certifier and restraint: invoked by alias, by these roles; no API has a permission."""
    assert holders(alias, "lambda:InvokeFunction") == INVOKED[alias]
    permitted = {
        name
        for permission in resources("AWS::Lambda::Permission").values()
        for name in references(permission["Properties"]["FunctionName"])
    }
    assert alias not in permitted


def test_functions_invoke_no_others() -> None:
    """The right to invoke names one of two functions, by their aliases."""
    assert {one.on for one in rights() if one.action == "lambda:InvokeFunction"} == set(INVOKED)


def test_factors_are_made_with_the_account_and_changed_by_these_roles() -> None:
    """No sign-in, refresh, gate or reader can take a way into an account away, or add one."""
    assert writers("FACTORS#", "dynamodb:PartiQLInsert") == {"identity-open-account"}
    assert writers("FACTORS#") - {"identity-open-account"} == CHANGE_FACTORS
    changing = {right.action for right in rights() if "FACTORS#" in right.limits and writes(right)}
    assert changing == {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"}


def test_who_makes_a_recovery_code_does_not_use_it() -> None:
    """Who mints codes cannot use one up, and who recovers cannot make one."""
    assert writers("CODE#", "dynamodb:PartiQLInsert") == {
        "identity-mint-recovery-codes",
        "identity-release-account",
    }
    assert writers("CODE#", "dynamodb:PartiQLUpdate") == {"identity-recover"}


def test_an_approval_is_used_up_but_never_taken_back() -> None:
    """Used approvals, and the deeds of proofs, are inserted: nobody can free one again."""
    for kind in ("APPROVAL#", "DEED#"):
        used = {right.action for right in rights() if kind in right.limits and writes(right)}
        assert used == {"dynamodb:PartiQLInsert"}


def test_a_person_s_key_is_made_but_never_replaced() -> None:
    """What is sealed under it would be lost: whoever may touch one reads it or inserts it."""
    on_persons = {right.action for right in rights() if "PERSON#" in right.limits}
    assert on_persons <= {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLInsert"}


@pytest.mark.parametrize("key", sorted(MAY_SIGN))
def test_an_older_key_verifies_and_never_signs(key: str) -> None:
    """A roll-over's list is good for verification: the right to sign names the one current key."""
    current, listed = f"Outputs.{key}Arn", f"Outputs.{key}s"
    for role in resources("AWS::IAM::Role").values():
        for statement in statements(role["Properties"]):
            named = str(statement["Resource"])
            if "kms:Sign" in statement["Action"]:
                assert not any(one in named for one in LISTS_OF_KEYS)
            elif "kms:GetPublicKey" in statement["Action"] and listed in LISTS_OF_KEYS:
                assert current not in named


def test_the_registry_is_written_by_roles_that_no_api_reaches() -> None:
    """Partners and operators are registered apart, by functions without any route, and for good."""
    written = {str(right) for right in rights() if right.on == "RegistryTable" and writes(right)}
    assert written == {
        "RegistryTable dynamodb:PartiQLInsert OPERATOR#*",
        "RegistryTable dynamodb:PartiQLInsert PARTNER#*",
    }
    assert writers("PARTNER#") == {"operations-register-partner"}
    assert writers("OPERATOR#") == {"operations-register-operator"}
    invoked = {
        name
        for permission in resources("AWS::Lambda::Permission").values()
        for name in references(permission["Properties"]["FunctionName"])
    }
    assert not {f"Register{who}FunctionAliaslive" for who in ("Partner", "Operator")} & invoked


def test_zones_keep_out_of_each_other_s_tables() -> None:
    """A zone's tables are touched by its own roles; the ledger alone reads standing across."""
    owners = {
        "IdentityTable": "identity",
        "StandingTable": "identity",
        "OnceTable": "identity",
        "BalancesTable": "ledger",
        "JournalTable": "ledger",
        "LedgerOnceTable": "ledger",
        "RegistryTable": "ledger",
    }
    across = {
        (right.role, right.on, right.action)
        for right in rights()
        if right.action.startswith("dynamodb:")
        and right.on != STREAM
        and right.role.partition("-")[0] != owners[right.on]
    }
    assert across == {
        *(
            (role, "IdentityTable", f"dynamodb:{action}")
            for role in PUBLISHERS
            for action in ("BatchGetItem", "DeleteItem", "PartiQLInsert", "PartiQLUpdate", "Query")
        ),
        (AUDITOR, "IdentityTable", "dynamodb:Query"),
        ("identity-lift-lockdown", "RegistryTable", "dynamodb:BatchGetItem"),
        ("identity-lift-quarantine", "RegistryTable", "dynamodb:BatchGetItem"),
        ("identity-lock-down", "RegistryTable", "dynamodb:BatchGetItem"),
        ("identity-release-account", "RegistryTable", "dynamodb:BatchGetItem"),
        ("ledger-post", "StandingTable", "dynamodb:BatchGetItem"),
        ("ledger-post", "StandingTable", "dynamodb:PartiQLSelect"),
        ("operations-register-operator", "RegistryTable", "dynamodb:GetItem"),
        ("operations-register-operator", "RegistryTable", "dynamodb:PartiQLInsert"),
        ("operations-register-partner", "RegistryTable", "dynamodb:GetItem"),
        ("operations-register-partner", "RegistryTable", "dynamodb:PartiQLInsert"),
    }


def test_the_stream_tells_one_role_which_item_changed_and_no_more() -> None:
    """The publisher reads keys alone from the stream, then events: no other item of identity's."""
    assert {right.role for right in rights() if right.on == STREAM} == {"operations-publish"}
    stream = resources("AWS::DynamoDB::Table", data())["IdentityTable"]["Properties"]
    assert stream["StreamSpecification"] == {"StreamViewType": "KEYS_ONLY"}


@pytest.mark.parametrize("role", sorted(PUBLISHERS))
def test_a_publisher_changes_no_event(role: str) -> None:
    """A thief of its role may tell lies outside; inside it moves marks, and removes notes."""
    written = {
        kind for right in policies.of(role) if writes(right) for kind in right.limits.split()
    }
    assert written == {"PENDING#*", "PUBLISHED#*"}


def test_no_function_gives_events_up() -> None:
    """What is never to be published any more is an administrator's word, and a thief's never."""
    held = {(one.role, one.action) for one in rights() if "GAP#" in one.limits}
    assert held == {(role, "dynamodb:BatchGetItem") for role in PUBLISHERS}


def test_who_publishes_tells_owners_what_happened() -> None:
    """Nobody else publishes on the topic, by role and by the topic's own policy."""
    assert holders("NoticesTopic", "sns:Publish") == PUBLISHERS
    assert holders("EventBus", "events:PutEvents") == PUBLISHERS
    (policy,) = resources("AWS::SNS::TopicPolicy").values()
    (statement,) = readable(policy["Properties"]["PolicyDocument"]["Statement"])
    assert statement == {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": "NoticesTopic",
        "Condition": {
            "ArnNotEquals": {
                "aws:PrincipalArn": [f"{policies.ROLE_ARN}{role}" for role in sorted(PUBLISHERS)]
            }
        },
    }


def test_no_role_can_change_a_function_a_role_or_a_key() -> None:
    """The services that the roles use are eight, and in KMS they use keys and manage none."""
    services = {right.action.partition(":")[0] for right in rights()}
    assert services == {
        "dynamodb",
        "events",
        "execute-api",
        "kms",
        "lambda",
        "logs",
        "s3",
        "sns",
    }
    assert {right.action for right in rights() if right.action.startswith("kms:")} == {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:GenerateMac",
        "kms:GetPublicKey",
        "kms:Sign",
        "kms:VerifyMac",
    }
