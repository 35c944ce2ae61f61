"""S3 itself: the wire, its signatures, what is asked of a store, and when to ask again."""
