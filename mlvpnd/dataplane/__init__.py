"""Bursts of packets between the interface and the links: two twins with one interface and the same decisions."""
