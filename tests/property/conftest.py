"""Profiles of the property tests: few examples for each commit, many at night.

At night: pytest tests/property --hypothesis-profile=nightly --timeout=0 -o faulthandler_timeout=0
"""

from hypothesis import HealthCheck, settings

# Building a large body is slow, not wrong.
SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "commit",
    max_examples=200,
    deadline=None,
    print_blob=True,
    suppress_health_check=SLOW_IS_FINE,
)
settings.register_profile("nightly", parent=settings.get_profile("commit"), max_examples=20_000)
# Loaded first; --hypothesis-profile=nightly comes after it and stays.
settings.load_profile("commit")
