"""The library, against real servers."""
