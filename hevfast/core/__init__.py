"""The vocabulary every other part speaks: codes, names, limits, time. Imports nothing of ours."""
