"""Frames become files people can look at: mp4, thumbnail, sheets; and numbers that compare them. Knows no model."""
