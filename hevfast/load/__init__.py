"""The load tool: offers a server a known load and says, in percentiles, what became of it."""
