"""The servers the tests run against: real ones in child processes, and small stand-ins."""
