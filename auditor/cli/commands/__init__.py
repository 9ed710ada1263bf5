"""What people type: commands, their options and their help. Imports nothing that only running one needs."""
