"""Verification of tokens, proofs, commands, orders and receipts: pure, keys passed in.

Every zone may import it. Signing stays in the zone that owns the key.
"""
