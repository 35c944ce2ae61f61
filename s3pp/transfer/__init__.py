"""What happens to one object: deciding, reading, typing, compressing, hashing, sending."""
