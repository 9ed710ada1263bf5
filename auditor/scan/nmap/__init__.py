"""All that is known of the program nmap: its arguments, its XML, what it is able to do."""
