"""Every negative case of RFC 9449 has its test, here or in the layer that it belongs to."""

import json
from pathlib import Path

import pytest

CASES: list[str] = json.loads(Path("tests/vectors/rfc9449.json").read_text())["negative_cases"]

DPOP = "tests/unit/evidence/test_dpop.py"
CALLER = "tests/unit/evidence/test_caller.py"
EDGE = "tests/unit/edge/test_headers.py"
EDGE_EVIDENCE = "tests/unit/edge/test_evidence.py"
GATE = "tests/contract/identity/test_gate.py"
NONCES = "tests/unit/test_nonces.py"
USE_OF = "tests/unit/test_use_of.py"
OAUTH = "tests/unit/test_oauth.py"

TESTED = {
    "two DPoP header fields": (EDGE, "test_a_header_that_must_be_single_may_not_repeat"),
    "proof not a single": (DPOP, "test_what_is_not_one_well_formed_jwt_is_refused"),
    "missing jti": (DPOP, "test_a_claim_that_is_absent_or_of_another_type_is_refused"),
    "typ absent": (DPOP, "test_another_type_is_refused"),
    "alg none": (DPOP, "test_another_algorithm_is_refused"),
    "signature made by": (DPOP, "test_a_key_exchanged_after_signing_is_refused"),
    "jwk contains d": (DPOP, "test_a_private_key_in_the_header_is_refused"),
    "htm of another": (DPOP, "test_another_method_is_refused"),
    "htu other path": (DPOP, "test_another_url_is_refused"),
    "nonce required": (NONCES, "test_a_proof_without_a_nonce_is_challenged"),
    "iat too old": (DPOP, "test_a_proof_outside_its_window_is_refused"),
    "ath of another": (DPOP, "test_a_proof_for_another_token_or_none_is_refused"),
    "cnf.jkt": (CALLER, "test_a_proof_by_another_key_than_the_tokens_is_refused"),
    "DPoP-bound token sent with Bearer": (EDGE_EVIDENCE, "test_another_scheme_is_refused"),
    "DPoP scheme with no proof": (EDGE_EVIDENCE, "test_a_token_without_a_proof_is_refused"),
    "same jti replayed": (GATE, "test_a_proof_serves_one_unsafe_request"),
    "oversized jti": (DPOP, "test_an_empty_or_oversized_id_is_refused"),
    # There are no authorization codes, so none can be redeemed with another key.
    "Authorization code": (OAUTH, "test_another_grant_is_refused"),
    "refresh token of a public client": (
        USE_OF,
        "test_a_current_token_with_another_key_is_refused",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_negative_case_has_its_test(case: str) -> None:
    """Each case of the list is named once, and its test is there."""
    named = [test for start, test in TESTED.items() if case.startswith(start)]
    assert len(named) == 1
    path, name = named[0]
    assert f"def {name}(" in Path(path).read_text()


def test_no_case_is_made_up() -> None:
    """Every entry of the table is of the list."""
    assert len(TESTED) == len(CASES)
