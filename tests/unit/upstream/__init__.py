"""Unit tests of hevfast.upstream."""
