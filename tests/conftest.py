"""What all tests share: no property has a deadline for an example, on a machine others use too."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None, print_blob=True)
settings.load_profile("unhurried")
