"""`make bench`: what the data plane costs and carries, beside other VPNs, and whether that is what was asked."""
