"""Exhaustive search for interleavings that break the promises of the document cache."""
