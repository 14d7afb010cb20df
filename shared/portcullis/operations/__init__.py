"""What operators do to the platform, apart from its users."""
