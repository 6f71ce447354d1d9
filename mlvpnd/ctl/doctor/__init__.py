"""`mlvpnctl doctor`: looks at a host and its tunnels and says in words what is wrong and what to type.

`examine` puts the checks together. Each check is a generator of `Finding`s over facts: the file, what the kernel
tells (`network`), what the running daemon tells (a view), what answers a probe. Nothing is changed; the only thing
that leaves the host is an empty datagram to the peer of each link that is not up, which the peer does not answer.
"""
