"""Large objects in parts: where the parts lie, and what their digests say of the whole."""
