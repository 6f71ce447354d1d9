"""The roots of mlvpnd's exceptions.

A bad datagram is none of them: it is counted by reason (`protocol.wire.drops.DropReason`).
"""


class MlvpndError(Exception):
    """What mlvpnd raises for a caller to show; its text is for the operator."""
