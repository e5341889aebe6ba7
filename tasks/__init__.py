"""The catalog: bundled tasks and the formats in which tasks are written."""
