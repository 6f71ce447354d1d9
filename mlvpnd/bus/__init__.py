"""The D-Bus service of one tunnel: names, objects and who may do what, as org.mlvpn1(5) tells; no behaviour.

`service` keeps a connection while the tunnel runs: `connection` reads and writes messages (`message`, `lib`), takes
calls in turns (`turns`) and hands them to `dispatch`, which finds the object (`objects`), asks `authorize` and calls
the operator; `signals` tells what changed. The interfaces are what the XML in `interfaces/` says (`introspection`).
That is `dbus/` at the top of the tree, by a symbolic link: the files exist once and are package data like any other.
`caller` is the other side, for programs that ask.
"""
