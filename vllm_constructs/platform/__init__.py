"""The platform: operators and how they are delivered."""
