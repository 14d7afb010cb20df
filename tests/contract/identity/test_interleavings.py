"""Refreshes, endings, sign-ins and requests of one account, in every order of their store calls.

A batch read is one call here, as it is in the code.
"""

import functools
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from portcullis.aws import dynamodb
from portcullis.errors import RefusedError
from portcullis.evidence.access_token import AccessToken
from portcullis.identity import (
    families,
    nonces,
    refresh,
    revocation,
    sessions,
    sign_in,
    sign_out,
    tokens,
)
from portcullis.identity import tables as names
from portcullis.identity.families import InvalidGrantError, RefreshToken
from portcullis.identity.gate import SessionEndedError, SessionTerminatedError
from portcullis.identity.session_list import SessionList
from portcullis.identity.sessions import Session, Use
from portcullis.identity.standing import Standing
from portcullis.identity.tokens import Tokens
from tests.contract.identity import records, schedules
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    SIGN_IN,
    SOURCE,
    TOKEN,
    Family,
    Person,
    admit,
    is_admitted,
    now,
    proof_of,
)
from tests.contract.identity.schedules import Deed, Run, stop_before
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey
from tests.support.tables import Tables

pytestmark = pytest.mark.contract
