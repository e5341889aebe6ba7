"""Plasma protein panel for acute rejection after kidney transplantation."""
