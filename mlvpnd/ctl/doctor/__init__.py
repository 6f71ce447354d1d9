"""`mlvpnctl doctor`: looks at a host and its tunnels, and tells in words what is wrong and what to type.

`examine` puts the checks together. Each check is a generator of `Finding`s over facts: the file, the kernel
(`network`), the running daemon (a view), the answers to a probe. Nothing is changed. Only an empty datagram to the peer
of each link that is not up leaves the host; the peer does not answer it.
"""
