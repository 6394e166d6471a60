"""Explore from the command line: `python -m tests.model [--large] [--plants] [--windows]`."""

import argparse
import sys
from functools import partial

from tests.model.configurations import (
    EMBEDDED_LARGE,
    EMBEDDED_SMALL,
    LARGE,
    SMALL,
    WINDOWS,
)
from tests.model.embedded_plants import EMBEDDED_PLANTS
from tests.model.pipeline_cases import PIPELINE_LARGE, PIPELINE_SMALL, PIPELINE_WINDOWS
from tests.model.pipeline_plants import PIPELINE_PLANTS
from tests.model.report import (
    explore_embedded,
    explore_pipelines,
    explore_planted,
    explore_registry,
    explore_shared,
    tell,
)
from tests.model.shared_cases import (
    SHARED_LARGE,
    SHARED_LOSSES,
    SHARED_SMALL,
    SHARED_WINDOWS,
)
from tests.model.shared_plants import SHARED_PLANTS
from tests.model.store_plants import STORE_PLANTS
from tests.model.write_plants import WRITE_PLANTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--large", action="store_true", help="more writes, more faults: minutes")
    parser.add_argument("--plants", action="store_true", help="planted faults, with their traces")
    parser.add_argument("--windows", action="store_true", help="what stays open, with its traces")
    parser.add_argument("--seconds", type=float, default=1e9, help="for each configuration")
    options = parser.parse_args()

    if options.plants:
        surprises = tell(
            (explore_planted(p, explore_registry) for p in [*WRITE_PLANTS, *STORE_PLANTS]),
            expect_wrong=True,
        )
        transactional = (explore_planted(p, explore_embedded) for p in EMBEDDED_PLANTS)
        surprises += tell(transactional, expect_wrong=True)
        pipelines = (explore_planted(p, explore_pipelines) for p in PIPELINE_PLANTS)
        surprises += tell(pipelines, expect_wrong=True)
        shared = (explore_planted(p, explore_shared) for p in SHARED_PLANTS)
        surprises += tell(shared, expect_wrong=True)
    elif options.windows:
        surprises = tell(map(explore_registry, WINDOWS), expect_wrong=True)
        surprises += tell(map(explore_pipelines, PIPELINE_WINDOWS), expect_wrong=True)
        surprises += tell(map(explore_shared, SHARED_WINDOWS), expect_wrong=True)
    else:
        by_registry = partial(explore_registry, seconds=options.seconds)
        by_transaction = partial(explore_embedded, seconds=options.seconds)
        surprises = tell(map(by_registry, LARGE if options.large else SMALL), expect_wrong=False)
        embedded = EMBEDDED_LARGE if options.large else EMBEDDED_SMALL
        surprises += tell(map(by_transaction, embedded), expect_wrong=False)
        by_file = partial(explore_pipelines, seconds=options.seconds)
        cases = PIPELINE_LARGE if options.large else PIPELINE_SMALL
        surprises += tell(map(by_file, cases), expect_wrong=False)
        by_deed = partial(explore_shared, seconds=options.seconds)
        deeds = SHARED_LARGE if options.large else [*SHARED_SMALL, *SHARED_LOSSES]
        surprises += tell(map(by_deed, deeds), expect_wrong=False)
    print("as expected" if not surprises else f"{surprises} not as expected")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
