"""How talk is read and measured: pure parts of `protocol.conversation`."""
