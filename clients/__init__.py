"""What reaches a server: agents, batch runs, the command line."""
