"""What the gateway is measured beside: less than it, and what people build in its place."""
