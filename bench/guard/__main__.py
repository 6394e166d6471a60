"""`python -m bench.guard`: fail if a case needs over 1 % more instructions than recorded.

The cases are the scanner and splicer over nine bodies, and a whole write of one row in process.
Two of them are counted once more with slowness planted, which must be found.

Instructions, counted by valgrind's callgrind, repeat exactly where seconds do not. They say nothing
of caches, mispredicted branches and system calls: the micro benches do. `--record` writes the
counts anew; a commit that does so says why.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import bodies
from hevfast.batch._scan import scan
from hevfast.batch.stamp import stamp

HERE = Path(__file__).parent
COUNTS = HERE / "counts.json"
FLAGS = ["-std=c11", "-O3", "-fno-strict-aliasing", "-I", str(HERE.parent.parent / "ext")]
# Names are bound at the start, so that the linker's work is not counted with the first call.
FLAGS += ["-Wl,-z,now"]
ALLOWED = 1.01

REQUEST = "a write of one row, in process"
PLANTED_CASE = "rows100_dim128_float"

# Body and whether the portable form is forced.
CASES = [
    ("row1_1500b", False),
    ("rows100_dim128_float", False),
    ("rows100_dim128_float", True),
    ("rows1000_dim768_float", False),
    ("rows1000_dim768_base64", False),
    ("rows1000_dim768_spaced", False),
    ("rows10000_dim8_float", False),
    ("columns1000_dim768_float", False),
    ("deletes10000", False),
]


def compiler() -> str:
    """Give the versions of compiler and Python: counts of two of them cannot be compared."""
    version = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True)
    return f"{version.stdout.splitlines()[0]}, Python {platform.python_version()}"


def counted(which: str, words: list[str]) -> tuple[str, int]:
    """Run a program; give its output and the instructions that callgrind's option `which` names."""
    run = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            which,
            *words,
        ],
        capture_output=True,
        text=True,
        check=True,
        # The order of a set's elements costs instructions, too.
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    found = re.search(r"Collected : (\d+)", run.stderr)
    if not found:
        raise SystemExit(f"no count in callgrind's output:\n{run.stderr}")
    return run.stdout, int(found.group(1))


def measure(drive: Path, room: Path, name: str, portable: bool) -> int:
    """Count the instructions of one case, and check that its work was done right."""
    content = bodies.body(name)
    expected = stamp(
        scan(content, False, 1 << 22), now_ms=1_700_000_000_000, shard_count=16, stamp_shard=True
    ).size
    body = room / name
    body.write_bytes(content)
    output, count = counted(
        "--toggle-collect=guard_measured", [str(drive), str(body), str(int(portable))]
    )
    if int(output) != expected:
        raise SystemExit(f"{name}: stamped to {output.strip()} bytes, not {expected}")
    return count


def measure_request(library: Path, *words: str) -> int:
    """Count the instructions of one write of one row, all that the gateway does for it."""
    command = [sys.executable, "-m", "bench.guard.request", str(library), *words]
    output, count = counted("--collect-atstart=no", command)
    return count // int(output)


def measure_all() -> tuple[dict[str, int], dict[str, int]]:
    """Give the count of each case, and of those that were made slower."""
    counts, slower = {}, {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        room = Path(folder)
        drive, slow_drive, library = room / "drive", room / "slow", room / "around.so"
        for program, more in ((drive, []), (slow_drive, ["-DGUARD_PLANTED"])):
            source = str(HERE / "drive.c")
            subprocess.run(["cc", *FLAGS, *more, source, "-o", str(program)], check=True)
        shared = ["cc", *FLAGS, "-shared", "-fPIC", str(HERE / "around.c"), "-o", str(library)]
        subprocess.run(shared, check=True)
        request = pool.submit(measure_request, library)
        slow_request = pool.submit(measure_request, library, "--planted")
        for name, portable in CASES:
            label = f"{name} portable" if portable else name
            counts[label] = measure(drive, room, name, portable)
        slower[PLANTED_CASE] = measure(slow_drive, room, PLANTED_CASE, False)
        counts[REQUEST] = request.result()
        slower[REQUEST] = slow_request.result()
    return counts, slower


def report(recorded: dict[str, int], counts: dict[str, int]) -> bool:
    """Print one line a case; tell whether all are within bounds."""
    good = True
    for label, count in counts.items():
        before = recorded.get(label, 0)
        ratio = count / before if before else float("inf")
        verdict = "ok" if ratio <= ALLOWED else "TOO MANY"
        good &= ratio <= ALLOWED
        print(f"{label:32} {before:12,} -> {count:12,}  {ratio:7.4f}  {verdict}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the counts of this commit")
    record = parser.parse_args().record
    if not shutil.which("valgrind"):
        print("valgrind is not installed; the guard counts instructions with it", file=sys.stderr)
        return 2
    if record:
        counts, _ = measure_all()
        COUNTS.write_text(json.dumps({"compiler": compiler(), "counts": counts}, indent=2) + "\n")
        return 0
    recorded = json.loads(COUNTS.read_text())
    if recorded["compiler"] != compiler():
        print(
            f"recorded with {recorded['compiler']}, this is {compiler()}: record on this one first",
            file=sys.stderr,
        )
        return 2
    counts, slower = measure_all()
    good = report(recorded["counts"], counts)
    print("with slowness planted:")
    found = [not report(recorded["counts"], {label: count}) for label, count in slower.items()]
    return 0 if good and all(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
