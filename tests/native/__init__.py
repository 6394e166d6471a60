"""The C scanner as a shared library, driven without the compiled Python module."""
