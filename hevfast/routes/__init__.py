"""What each path does, one file a route."""
