"""The 30-day readmission model of the discharge team."""
