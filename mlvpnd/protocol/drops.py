"""Why a packet or datagram went nowhere. Drops are counted, never raised and never logged one by one."""

from __future__ import annotations

import enum


class DropReason(enum.Enum):
    """The value is the word that status and metrics show."""

    SHORT = "short"
    """Smaller than a header."""
    BAD_LENGTH = "bad_length"
    """The header's length is not that of the datagram."""
    BAD_VERSION = "bad_version"
    UNKNOWN_TYPE = "unknown_type"
    REFLECTED = "reflected"
    """It carries a flow_id of this process: our own packet, sent back."""
    WRONG_LINK = "wrong_link"
    """Its flow belongs to another link."""
    REPLAYED = "replayed"
    """Seen before, or too old to know."""
    NOT_AUTHENTIC = "not_authentic"
    """The box does not open: another password, damage or forgery."""
    BAD_PLAINTEXT = "bad_plaintext"
    """Authentic, but not what its type carries: a header changed on the way."""
    UNKNOWN_FLOW = "unknown_flow"
    """Authentic, from a session that this link does not have."""
    NOT_UP = "not_up"
    """Authentic, but the link is down."""
    STALE_CONTROL = "stale_control"
    """A control packet that newer packets of its flow have overtaken."""
    CLEAR_NOT_ALLOWED = "clear_not_allowed"
    """Clear DATA that is not from the peer's current address and flow."""
    COPY = "copy"
    """Another copy of a packet that came already: its sender duplicates it."""
    RULE = "rule"
    """Outgoing, and a rule says drop."""
    NO_LINK = "no_link"
    """Outgoing, while no link is up."""
    QUEUE_FULL = "queue_full"
    """Outgoing, more than the links carry: the flow with most in the queue gave up a packet."""
    TOO_LONG = "too_long"
    """Outgoing, larger than a datagram carries."""
