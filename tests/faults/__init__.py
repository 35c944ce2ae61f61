"""Faults injected between s3pp and its surroundings, and what must hold all the same."""
