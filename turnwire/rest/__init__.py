"""REST requests to a gateway, and the shapes of queries and answers."""
