"""Runs commands at a viewpoint, and asks the resolver: the seams between the program and what is around it."""
