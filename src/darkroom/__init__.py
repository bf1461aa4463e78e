"""darkroom: images, video, speech and decks for any MCP client, with nothing paid for lost or repeated."""

__version__ = "0.1.0"
