"""Tests of what a write body means."""
