"""Group commit in a world of its own: time, upstream and callers are the test's."""
