"""`mlvpn.conf`: text to frozen `Config`, or `ConfigError` naming file, line and key.

Standard library only: the root helper imports this package too.
"""
