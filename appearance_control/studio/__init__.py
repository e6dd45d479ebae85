"""The page's second tab: a person in other people's clothes. What is swapped and how is :mod:`appearance_control`'s."""
