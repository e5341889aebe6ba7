"""Sorts parcels into chutes by the handwritten digit on their label."""
