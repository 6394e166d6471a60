"""hevfast: a fast, open gateway in front of the Turbopuffer vector database."""

__version__ = "0.1.0"
