"""Evidence → a first inventory."""
