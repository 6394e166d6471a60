"""Unit tests of hevfast.core."""
