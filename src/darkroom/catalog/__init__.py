"""Read-only facts, loaded when they are first asked for."""
