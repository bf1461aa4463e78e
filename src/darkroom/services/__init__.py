"""The rules of the product; nothing here calls a provider."""
