"""Fuzz one part of hevfast: python -m tests.fuzz scan --seed N --seconds S."""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.fuzz.scan import PLANT_NAMES, fuzz_scan


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("name", choices=["scan"], help="what is fuzzed")
    parser.add_argument("--seed", type=int, help="where to start; a random number unless given")
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument("--seconds", type=float, default=60.0, help="how long, unless --executions")
    bound.add_argument("--executions", type=int, default=0, help="how many instead of how long")
    parser.add_argument("--canary", choices=PLANT_NAMES, help="plant a fault: the run has to fail")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else secrets.randbelow(2**63)
    return fuzz_scan(
        seed, executions=options.executions, seconds=options.seconds, canary=options.canary
    )


if __name__ == "__main__":
    sys.exit(main())
