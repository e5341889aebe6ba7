"""Default probabilities for the consumer loan book."""
