"""Coverage-guided fuzzing of the configuration parser with atheris (`pip install atheris`, no part of the dev extra).

`python -m tests.fuzz.fuzz_config -max_total_time=600 [CORPUS_DIRECTORY]`; the options are libFuzzer's. The run ends
with the first bad input, and saves it. A bad input gives neither a result nor a ConfigError, or takes too long.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

_MAX_LENGTH = 4096
_INPUT_TIMEOUT = 5
"""Seconds for one input. The parser takes some ms for the longest one."""


def main() -> None:
    """Runs until libFuzzer's own options stop it."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["mlvpnd.config"]):
        config = importlib.import_module("mlvpnd.config")
        changes = importlib.import_module("mlvpnd.config.changes")
        schema = importlib.import_module("mlvpnd.config.schema")
    samples = importlib.import_module("tests.support.configs")  # not earlier: modules imported before have no coverage

    def one_input(data: bytes) -> None:
        accepted = {}
        for strict in (False, True):
            try:
                result = config.parse(data, "fuzz.conf", strict=strict)
            except config.ConfigError as error:
                if not error.problems or not str(error):
                    raise AssertionError("an error without a word") from error
                continue
            accepted[strict] = result.config
            for warning in result.warnings:
                if not str(warning).isprintable():
                    raise AssertionError("a warning that could disturb a terminal")
            if changes.compare(result.config, result.config):
                raise AssertionError("a configuration differs from itself")
        if True in accepted and accepted[True] != accepted.get(False):
            raise AssertionError("strict accepts what lenient does not, or reads it otherwise")

    with tempfile.TemporaryDirectory() as directory:
        seeds = Path(directory, "seeds")
        seeds.mkdir()
        for number, text in enumerate((samples.CLIENT, samples.SERVER, samples.DOCUMENTED_CLIENT)):
            Path(seeds, str(number)).write_text(text)
        words = Path(directory, "words")
        known = [key.name for key in schema.GENERAL_KEYS + schema.LINK_KEYS]
        known += [schema.RULES, *(action.value for action in config.RuleAction)]
        words.write_text("".join(f'"{word}"\n' for word in known))
        arguments = [f"-max_len={_MAX_LENGTH}", f"-timeout={_INPUT_TIMEOUT}", f"-dict={words}", *sys.argv[1:]]
        # New inputs are saved in the first directory: the caller's, if there is one.
        arguments.append(str(seeds))
        child = os.fork()  # libFuzzer ends its process without telling Python
        if child == 0:
            atheris.Setup([sys.argv[0], *arguments], one_input)
            atheris.Fuzz()
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
