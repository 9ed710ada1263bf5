"""Whether what came back may be believed."""
