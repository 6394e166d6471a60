"""The document cache: which rows may be served without asking upstream, and where they are."""
