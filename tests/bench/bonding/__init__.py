"""`make bench-bonding`: what several lines are worth together, measured over emulated ones and judged."""
