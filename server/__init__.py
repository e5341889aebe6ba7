"""Sessions, and the MCP and HTTP faces through which clients reach them."""
