"""One open WebSocket, whatever it is for; and all of them."""
