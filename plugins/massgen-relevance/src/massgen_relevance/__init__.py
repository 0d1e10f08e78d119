"""What is needed again comes back: a truncation strategy for massgen-core."""
