"""What happens in the city between two deliveries."""
