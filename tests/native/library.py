"""Compiles scan_abi.c with the headers of the scanner, and loads the result with ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from ctypes import POINTER, c_int, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXT = HERE.parents[1] / "ext"
SOURCE = HERE / "scan_abi.c"
FLAGS = ("-O2", "-g", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror=implicit")

# Name, result and arguments of each function of scan_abi.c.
SIGNATURES = {
    "abi_scan": (c_void_p, [c_void_p, c_size_t, c_uint32, c_uint32, c_uint32]),
    "abi_release": (None, [c_void_p]),
    "abi_fault": (None, [c_void_p, POINTER(c_int64)]),
    "abi_counts": (None, [c_void_p, POINTER(c_uint32)]),
    "abi_contents": (None, [c_void_p, POINTER(c_uint32)]),
    "abi_splice": (
        c_int64,
        [
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_uint32,
            c_int,
            POINTER(c_uint32),
            c_size_t,
            c_size_t,
            POINTER(c_uint8),
            c_size_t,
        ],
    ),
    "abi_xxh64": (c_uint64, [c_void_p, c_size_t]),
}


def compiler() -> str:
    """Return the C compiler: that of the environment's CC, else gcc."""
    return os.environ.get("CC", "gcc")


def cached_folder() -> Path:
    """Return the user's folder for compiled tests, outside of the tree."""
    folder = Path(tempfile.gettempdir()) / f"hevfast-native-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def compiled(source: Path, flags: tuple[str, ...], headers: Path, suffix: str) -> Path:
    """Compile `source` against `headers` unless the same bytes were compiled before."""
    digest = hashlib.sha256(repr((compiler(), flags)).encode())
    for path in [source, *sorted(source.parent.glob("*.h")), *sorted(headers.glob("*.h"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    target = cached_folder() / f"{source.stem}-{digest.hexdigest()[:24]}{suffix}"
    if not target.exists():
        # Another process may compile the same: each writes its own file, the last rename stays.
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        command = [compiler(), *flags, f"-I{headers}", str(source), "-o", str(unfinished)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
        unfinished.replace(target)
    return target


@cache
def library(headers: Path = EXT, flags: tuple[str, ...] = FLAGS) -> ctypes.CDLL:
    """Return the loaded library made of `headers`."""
    path = compiled(SOURCE, (*flags, "-shared", "-fPIC"), headers, ".so")
    loaded = ctypes.CDLL(str(path))
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype = result
        function.argtypes = arguments
    return loaded
