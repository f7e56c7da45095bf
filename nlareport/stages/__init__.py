"""Rooms without doors between them: each turns typed values into typed values and opens no database and no model."""
