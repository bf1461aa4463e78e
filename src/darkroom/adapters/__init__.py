"""How to speak to each provider."""
