"""An object becomes another one: by the store, or fetched and put through this machine."""
