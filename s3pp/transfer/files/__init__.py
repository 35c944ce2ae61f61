"""Names and files below DIRECTORY: which names can be files, and files that are only seen whole."""
