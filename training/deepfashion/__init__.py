"""The DeepFashion in-shop data set: prepared from its folder, and read as pairs."""
