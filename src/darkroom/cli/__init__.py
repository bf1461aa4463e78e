"""The human face: one file a command group."""
