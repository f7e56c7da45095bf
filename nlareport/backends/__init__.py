"""The workshop: alone knows torch. Answers the ports with real models."""
