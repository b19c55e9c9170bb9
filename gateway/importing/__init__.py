"""Past calls, brought in as they were."""
