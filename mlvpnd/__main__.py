"""`python -m mlvpnd` is `mlvpn`."""

from .cli.mlvpn import main

raise SystemExit(main())
