"""The D-Bus service of one tunnel: names, objects and permissions, as in org.mlvpn1(5); no behaviour.

`service` keeps a connection while the tunnel runs. `connection` reads and writes messages (`message`, `lib`). Calls
wait for their turn (`turns`). `dispatch` finds the object (`objects`), asks `authorize` and calls the operator.
`signals` tells what changed. The XML in `interfaces/` defines the interfaces (`introspection`). It is a symbolic link
to `dbus/` at the top of the tree: the files exist once and are package data like any other. `caller` is the other side,
for programs that ask.
"""
