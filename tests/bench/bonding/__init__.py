"""`make bench-bonding`: measures over emulated lines how much several of them carry together, and judges the result."""
