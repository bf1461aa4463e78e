"""The face that MCP clients see."""
