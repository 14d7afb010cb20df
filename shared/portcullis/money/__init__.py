"""The public face of the ledger: it forwards what the user signed, and owns no table."""
