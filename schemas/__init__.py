"""The words that every part shares: frozen values and every error. No I/O."""
