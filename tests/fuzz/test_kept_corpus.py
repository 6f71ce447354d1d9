"""A short fuzz of the native twin from the inputs in `corpus`, with the compiler of the build.

`make fuzz-offload` and `make fuzz-receive` are the long runs, with clang's libFuzzer.
"""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.support.linkemu import PROJECT

SECONDS = 30
"""Seconds of processor time for each target: a minute for both."""
LIMIT = 20 * SECONDS
"""Seconds by the clock, with the time of the compiler. A busy machine needs more than a free one."""
FOUND_LIMIT = 60
"""Seconds of processor time in which the fuzzer finds a planted fault; one second is usual."""
FOUND_SEED = 3
"""Seed of a search that always takes the same number of runs. With a random seed, one search in many takes long."""
PLANTED = """
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    volatile double large = 1e300;
    volatile int cast = 0;
    if (size > 3 && data[0] == 'F')
        if (data[1] == 'U')
            if (data[2] == 'Z')
                cast = (int)(large * data[3]);
    return cast & 0;
}
"""
"""A double that does not fit into an int. Three bytes guard it, and only coverage finds them one after the other."""

pytestmark = pytest.mark.timeout(2 * LIMIT)


def make(*words: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "LD_PRELOAD"))}
    subprocess.run(["make", "--silent", *words], cwd=PROJECT, env=environment, check=True, timeout=LIMIT)


def fuzz(program: Path, corpus: Path, seconds: int, seed: int, failed: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    return subprocess.run(
        [program, corpus, str(seconds), str(seed)],
        env=environment | {"FAILED": str(failed), "UBSAN_OPTIONS": "print_stacktrace=1"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def input_of(failed: Path) -> bytes:
    """The input that ran last."""
    data = failed.read_bytes()
    return data[2 : 2 + int.from_bytes(data[:2], "big")]


@pytest.mark.parametrize("target", ["offload", "receive"])
def test_no_fault_is_found_in_half_a_minute(target: str, tmp_path: Path) -> None:
    corpus = Path(__file__).with_name("corpus") / target
    make(f"build/fuzz/kept_{target}")
    done = fuzz(
        PROJECT / "build/fuzz" / f"kept_{target}",
        corpus,
        SECONDS,
        random.SystemRandom().getrandbits(63),
        tmp_path / "failed",
    )
    said = f"{done.stdout}{done.stderr}"
    assert done.returncode == 0, f"{said}\nthe input, in hex: {input_of(tmp_path / 'failed').hex()}"
    kept, runs, *_ = (int(part.split()[0]) for part in done.stdout.split(", "))
    assert kept == len(list(corpus.iterdir()))
    assert runs > 1000, said


def test_a_planted_fault_is_found_and_shown(tmp_path: Path) -> None:
    source, corpus, failed = tmp_path / "native_planted.c", tmp_path / "corpus", tmp_path / "failed"
    source.write_text(PLANTED)
    corpus.mkdir()
    (corpus / "0004-seed").write_bytes(b"....")
    make("build/fuzz/kept.o")
    words = ["make", "--silent", "--eval=show:;@echo $(CC) $(FUZZ_FLAGS) -fsanitize-coverage=trace-pc $(FUZZ_SANITIZE)"]
    flags = subprocess.run([*words, "show"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    program = tmp_path / "planted"
    subprocess.run([*flags, "-o", program, source, PROJECT / "build/fuzz/kept.o"], check=True)
    done = fuzz(program, corpus, FOUND_LIMIT, FOUND_SEED, failed)
    assert done.returncode != 0
    assert "outside the range of representable values" in done.stderr
    assert input_of(failed).startswith(b"FUZ")
