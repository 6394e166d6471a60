"""The seeded bodies of every bench, from where the installed load tool makes them too."""

from hevfast.load.bodies import SEED, SHAPES, WORDS, body, columns, compact, rows, text_row

__all__ = ["SEED", "SHAPES", "WORDS", "body", "columns", "compact", "rows", "text_row"]
