"""Check histories: `python -m tests.history --seconds 60 --seed 1 --workers 2 [--no-kill]`."""

import argparse
import random
import sys

from tests.history.planted import PLANTS
from tests.history.planted_cluster import CLUSTER_PLANTS
from tests.history.run import Options, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.history", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-kill", action="store_true", help="leave the workers alone")
    parser.add_argument("--no-hold", action="store_true", help="leave the store alone")
    parser.add_argument("--store", choices=("lmdb", "aerospike"), default="lmdb")
    rules = sorted(PLANTS | CLUSTER_PLANTS)
    parser.add_argument("--plant", choices=rules, help="break this rule of the cache")
    parser.add_argument("--stale", action="store_true", help="let upstream tell of old rows")
    given = parser.parse_args()

    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    options = Options(given.seconds, seed, given.workers, plant=given.plant, stale=given.stale)
    options.kill, options.hold = not given.no_kill, not given.no_hold
    options.store = given.store
    report = run(options, lambda line: print(line, flush=True))
    print("\n".join(report.lines()))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
