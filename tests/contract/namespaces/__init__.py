"""Namespaces as a whole, and all routes by their table."""
