"""Properties of the scanner, checked on bodies joined from hostile tokens."""
