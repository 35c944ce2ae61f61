"""A file becomes an object: compared, read, typed, packed where asked, hashed, sent."""
