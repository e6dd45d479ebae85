"""DeepFashion in-shop: from its folder to pairs."""
