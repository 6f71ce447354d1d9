"""`make bench`: measures cost and throughput of the data plane beside other VPNs, and checks them against demands."""
