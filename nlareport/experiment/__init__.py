"""The experiment file: its sections, their defaults and limits, and how it is read and checked."""
