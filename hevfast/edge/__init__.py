"""HTTP in and out: dispatch, head, auth, body, reply."""
