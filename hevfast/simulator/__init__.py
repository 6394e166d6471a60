"""A local stand-in for the Turbopuffer HTTP API; it imports nothing of the rest of hevfast."""
