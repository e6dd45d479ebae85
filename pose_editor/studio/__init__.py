"""The page's pose tab, and the studio that all tabs share."""
