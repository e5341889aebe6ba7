"""The forms in which tasks are written: AfterQuery's JSON, and the directory."""
