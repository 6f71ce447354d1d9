"""Builds the native twin of the data plane; everything else is in pyproject.toml.

MLVPND_PURE=1 leaves it out, for a machine without a C compiler. MLVPND_SANITIZE=1 builds it with ASan and UBSan.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("mlvpnd/dataplane/native")
# Doubles are rounded as Python rounds them: without contraction to fused operations.
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-ffp-contract=off"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g"]

sanitize = SANITIZE if os.environ.get("MLVPND_SANITIZE") == "1" else []
native = Extension(
    "mlvpnd.dataplane._native",
    sources=sorted(str(path) for path in NATIVE.glob("*.c")),
    depends=sorted(str(path) for path in NATIVE.glob("*.h")),
    libraries=["sodium", "z", "m"],
    extra_compile_args=FLAGS + sanitize,
    extra_link_args=sanitize,
)
setup(ext_modules=[] if os.environ.get("MLVPND_PURE") == "1" else [native])
