"""s3pp, the S3 parallel pipeline: moves very many objects between a file system and S3."""

__version__ = "0.1.0"
