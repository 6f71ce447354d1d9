"""`mlvpn` whose helper opens the interface as earlier versions did, without a vnet header, for test_offloads.

python -m tests.netns.old_tun_program ARGUMENTS-OF-MLVPN…
"""

from __future__ import annotations

import sys

import pytun

from mlvpnd.cli import mlvpn

if __name__ == "__main__":
    pytun.IFF_VNET_HDR = 0
    sys.exit(mlvpn.main())
