"""What gateways on one database tell each other."""
