"""Protocol v1, as C MLVPN speaks it, without IO.

Bytes, addresses and `now` come in as arguments; datagrams, packets for the interface, a timer and
events come out. `links.session.Session` is the face. Nothing here reaches a socket, clock, log or source
of randomness: ruff.toml beside this file and `tests/unit/test_layout.py` see to it.
"""
