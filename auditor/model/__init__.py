"""The nouns that every stage shares: frozen dataclasses and enums, no I/O."""
