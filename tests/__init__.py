"""The tests of hevfast; what each folder promises is in CONTRIBUTING.md."""
