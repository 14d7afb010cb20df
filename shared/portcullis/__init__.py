"""Portcullis: a zero-trust backend for platforms that hold other people's money and secrets."""
