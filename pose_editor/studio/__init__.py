"""The page's pose tab: layout, events and what a visitor's session holds."""
