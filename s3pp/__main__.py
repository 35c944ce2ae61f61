"""``python -m s3pp``."""

from s3pp.cli.main import run

if __name__ == "__main__":  # the spawn start method imports this module again, in every child
    run()
