"""Official clients, unmodified, call by call."""
