"""Fuzzers: python -m tests.fuzz <name> --seed N --seconds S."""
