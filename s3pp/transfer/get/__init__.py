"""An object becomes a file: compared, fetched, verified, unpacked where asked, named."""
