"""Reading and answering HTTP requests."""
