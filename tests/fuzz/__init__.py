"""Fuzzing of everything that reads what others have written: see ``__main__``."""
