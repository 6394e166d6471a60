"""Stand-ins on real sockets: an upstream and a client; and a gateway in its own process."""
