"""Looks at the network through nmap: what to send, what came back, and what could not be told."""
