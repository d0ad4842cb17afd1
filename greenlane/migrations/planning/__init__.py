"""From a wanted change to SQL files of three phases."""
