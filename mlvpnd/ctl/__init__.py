"""`mlvpnctl`: what an operator asks of running tunnels, and of the host.

`source` gets views of tunnels (`model`) by the system bus (`client`), or by a tunnel's private socket
(`private_socket`) where the bus is down; `verbs` does one thing each; `render`, `output` and `top` show; `doctor/`
looks at the host. Everything is imported by the verb that needs it: a run takes about 0.1 s.
"""
