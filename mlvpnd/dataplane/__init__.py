"""Moves bursts of packets between the interface and the links: two twins that take the same decisions."""
