"""A history checker: the running gateway, under load and faults, against what upstream held."""
