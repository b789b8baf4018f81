"""Models that were not trained here: found by directory, URI or address, evaluated and attacked."""
