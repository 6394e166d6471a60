"""What a write body means: its plan, and the stamped body made from it. Nothing here does I/O."""
