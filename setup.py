"""Builds the native twin of the data plane; everything else is in pyproject.toml.

MLVPND_PURE=1 leaves it out, for a machine without a C compiler. MLVPND_SANITIZE=1 builds it with ASan and UBSan.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, CompileError, ExecError, PlatformError

NATIVE = Path("mlvpnd/native")
# Doubles are rounded as Python rounds them: without contraction to fused operations.
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-ffp-contract=off"]
# All files are optimised as one, from which only PyInit__native is seen: a packet passes functions of a dozen files.
ONE = ["-flto=auto", "-fvisibility=hidden"]
# UBSan's group leaves out a double that does not fit into the integer that it is made, which C does not define.
SANITIZE = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=undefined,float-cast-overflow"]
SANITIZE += ["-fno-omit-frame-pointer", "-g"]


class BuildNative(build_ext):
    """Says what can be done where the native twin cannot be built: never is it left out unasked."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except (CCompilerError, ExecError, PlatformError) as error:
            raise CompileError(
                f"{error}\nThe native data plane needs a C compiler and the headers of Python, libsodium and zlib"
                " (Debian: gcc libc6-dev python3-dev libsodium-dev zlib1g-dev)."
                "\nMLVPND_PURE=1 in the environment installs mlvpnd without it: slower, and otherwise the same."
            ) from error


def native() -> Extension:
    """The native twin, with the Python module that cffi makes from its headers."""
    from cffi import FFI

    described = runpy.run_path(str(NATIVE / "declarations.py"))
    sanitize = SANITIZE if os.environ.get("MLVPND_SANITIZE") == "1" else []
    builder = FFI()
    builder.cdef(described["declarations"]())
    builder.set_source(
        "mlvpnd.dataplane._native",
        described["source"](),
        sources=sorted(str(path) for path in NATIVE.rglob("*.c")),
        depends=sorted(str(path) for path in NATIVE.rglob("*.h")),
        include_dirs=[str(NATIVE)],
        libraries=["sodium", "z", "m"],
        extra_compile_args=[*FLAGS, *ONE, *sanitize],
        extra_link_args=[*ONE, *sanitize],
    )
    extension: Extension = builder.distutils_extension("build/native")
    return extension


pure = os.environ.get("MLVPND_PURE") == "1"
setup(ext_modules=[] if pure else [native()], cmdclass={"build_ext": BuildNative})
