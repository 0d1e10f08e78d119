"""The least important leaves first: a truncation strategy for massgen-core."""
