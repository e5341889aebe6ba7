"""How a submission becomes a grade."""
