"""Keep the newest part of the conversation: a truncation strategy for massgen-core."""
