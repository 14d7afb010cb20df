"""Wallet heads, chained entries, postings: internal, and convinced by evidence alone."""
