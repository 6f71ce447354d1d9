"""Protocol v1, as C MLVPN speaks it, without IO.

Bytes, addresses and `now` come in as arguments; datagrams, packets for the interface, a timer and
events come out. `session.Session` is the face; no socket, clock, log or source of randomness is
reached from here (ruff.toml beside this file and `tests/unit/test_layout.py` hold that).
"""
