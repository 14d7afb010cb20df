"""Accounts, passkeys, sessions, refresh families, and the gate."""
