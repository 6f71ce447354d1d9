"""`mlvpnctl`: what an operator asks of running tunnels and of the host.

`source` gets views of tunnels (`model`) by the system bus (`client`), or by a tunnel's private socket
(`private_socket`) if the bus is down. `verbs` has the verbs; `render`, `output` and `top` show; `doctor/` looks at the
host. The program asks and waits. It uses no asyncio, whose import would take as long as the rest of a run, and each
verb imports what it needs.
"""
