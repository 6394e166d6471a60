"""The conversation with Turbopuffer. The only package that imports aiohttp."""
