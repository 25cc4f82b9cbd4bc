"""The words of the field as frozen dataclasses and enumerations."""
