"""Resale prices for the group's used cars."""
