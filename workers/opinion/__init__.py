"""A second opinion on images by a small model: shown to whoever reviews, and stricter, never laxer."""
