"""What to send, when, and how fast. Pure: sends nothing."""
