"""How darkroom speaks HTTP: bounded, classified, redacted; the only importer of the HTTP library."""
