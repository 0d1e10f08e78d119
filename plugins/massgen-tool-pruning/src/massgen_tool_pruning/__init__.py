"""Clip old tool output before anything leaves: a truncation strategy for massgen-core."""
