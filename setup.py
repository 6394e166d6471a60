"""Compile the scanner, a Cython border over plain C headers, and the common form of HTTP.

HEVFAST_DEBUG=1     bounds checks, symbols, no optimisation
HEVFAST_TRACE=1     line tracing for coverage
HEVFAST_SANITIZE=1  address and undefined-behaviour sanitizers
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup  # type: ignore[import-untyped] # ships no types


def switch(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


debug, trace, sanitize = (switch(f"HEVFAST_{name}") for name in ("DEBUG", "TRACE", "SANITIZE"))

compile_args = ["-std=c11", "-fno-strict-aliasing", "-fvisibility=hidden"]
compile_args += ["-O0", "-g"] if debug else ["-O3", "-g1"]
link_args: list[str] = []
if sanitize:
    compile_args += [
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover",
        "-fno-omit-frame-pointer",
    ]
    link_args += ["-fsanitize=address,undefined"]


def compiled(name: str, source: str) -> Extension:
    return Extension(
        name,
        [source],
        include_dirs=["ext"],
        # The headers are the scanner: a changed one would not be compiled again without them here.
        depends=sorted(str(path) for path in Path("ext").glob("*.h")),
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        define_macros=[("CYTHON_TRACE", "1")] if trace else [],
    )


setup(
    ext_modules=cythonize(  # type: ignore[no-untyped-call] # ships no types
        [
            compiled("hevfast.batch._scan", "ext/scan.pyx"),
            compiled("hevfast.upstream._http", "ext/http.pyx"),
        ],
        include_path=["ext"],
        annotate=debug,
        show_all_warnings=True,
        compiler_directives={
            "language_level": "3",
            "boundscheck": debug,
            "wraparound": False,
            "initializedcheck": debug,
            "cdivision": True,
            "embedsignature": False,
            "linetrace": trace,
            "auto_pickle": False,
            "autotestdict": False,
        },
    )
)
