"""A rolling, structured summary of what left the window: a strategy for massgen-core."""
