"""What gateways store about the keeping of sessions: leases, and how far retention has looked."""
