"""`mlvpnctl doctor`: looks at a host and its tunnels, and tells in words what is wrong and what to type.

`examine` puts the checks together. Each check is a generator of `Finding`s over facts: the file, the kernel
(`network`), the running daemon (a view), the answers to a probe. Nothing is changed. Only an empty datagram to the peer
of each link that is not up, which the peer does not answer, and look-ups of names leave the host.

docs/doctor.md has the table of all faults, and what each is seen by.
"""
