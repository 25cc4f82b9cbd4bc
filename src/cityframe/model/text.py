"""Text in the two languages of the users."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Title:
    """A short text in Chinese and English."""

    zh: str
    en: str
