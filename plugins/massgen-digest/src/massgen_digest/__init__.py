"""An extract of what left the window, without a model: a truncation strategy for massgen-core."""
