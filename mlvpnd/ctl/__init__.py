"""`mlvpnctl`: what an operator asks of running tunnels, and of the host.

`source` gets views of tunnels (`model`) by the system bus (`client`), or by a tunnel's private socket
(`private_socket`) where the bus is down; `verbs` does one thing each; `render`, `output` and `top` show; `doctor/`
looks at the host. A program that asks and waits: no asyncio, which alone would take as long as the rest of a run, and
everything is imported by the verb that needs it.
"""
