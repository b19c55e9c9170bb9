"""What gateways keep in the database about the keeping of sessions: leases, and how far retention has looked."""
