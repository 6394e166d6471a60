"""`python -m bench.guard`: fail if a case needs over 1 % more instructions than recorded.

Instructions, counted by valgrind's callgrind, repeat exactly where seconds do not. They say nothing
of caches, mispredicted branches and system calls: the micro benches do. `--record` writes the
counts anew; a commit that does so says why.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
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
    """Give the compiler's version: counts of two compilers cannot be compared."""
    return subprocess.run(
        ["cc", "--version"], capture_output=True, text=True, check=True
    ).stdout.split("\n")[0]


def measure(drive: Path, room: Path, name: str, portable: bool) -> int:
    """Count the instructions of one case, and check that its work was done right."""
    content = bodies.body(name)
    expected = stamp(
        scan(content, False, 1 << 22), now_ms=1_700_000_000_000, shard_count=16, stamp_shard=True
    ).size
    body = room / name
    body.write_bytes(content)
    run = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=guard_measured",
            str(drive),
            str(body),
            str(int(portable)),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    if int(run.stdout) != expected:
        raise SystemExit(f"{name}: stamped to {run.stdout.strip()} bytes, not {expected}")
    found = re.search(r"Collected : (\d+)", run.stderr)
    if not found:
        raise SystemExit(f"{name}: no count in callgrind's output:\n{run.stderr}")
    return int(found.group(1))


def measure_all() -> dict[str, int]:
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        drive = room / "drive"
        subprocess.run(["cc", *FLAGS, str(HERE / "drive.c"), "-o", str(drive)], check=True)
        for name, portable in CASES:
            label = f"{name} portable" if portable else name
            counts[label] = measure(drive, room, name, portable)
    return counts


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
        COUNTS.write_text(
            json.dumps({"compiler": compiler(), "counts": measure_all()}, indent=2) + "\n"
        )
        return 0
    recorded = json.loads(COUNTS.read_text())
    if recorded["compiler"] != compiler():
        print(
            f"recorded with {recorded['compiler']}, this is {compiler()}: record on this one first",
            file=sys.stderr,
        )
        return 2
    return 0 if report(recorded["counts"], measure_all()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
