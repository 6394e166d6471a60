"""The instruction-count gate of the scanner and the splicer."""
