"""Levels of assurance: how a session was come by, as ``acr`` says it in tokens."""

PROVISIONAL = "provisional"
"""Some factor is younger than 24 hours and no older one has approved it."""
MFA = "mfa"
"""An established password and an established TOTP."""
PHR = "phr"
"""An established passkey (OpenID's Extended Authentication Profile, section 4)."""

LEVELS = (PHR, MFA, PROVISIONAL)
"""Every level, strongest first: the metadata's ``acr_values_supported``."""
FULL = frozenset({PHR, MFA})
"""The levels that move money. A provisional sign-in reads masked data, and no more."""
