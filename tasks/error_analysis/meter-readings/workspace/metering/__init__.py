"""Consumption forecasts for the supply districts of Norrhamn Energi."""
