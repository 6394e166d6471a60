"""Reads that are cut at a moment: how far the index is, and queries by it."""
