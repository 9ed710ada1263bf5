"""Files that hosts have written of themselves → nouns."""
