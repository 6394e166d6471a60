"""Unit tests of hevfast.edge."""
