"""Two whole sessions over simulated lines, with TCP inside: see `python -m tests.sim --help`."""
