"""Promises on the wire, with the expected bytes written out."""
