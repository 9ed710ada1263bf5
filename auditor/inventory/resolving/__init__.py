"""Plain data to the nouns of `model/`."""
