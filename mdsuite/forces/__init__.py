"""A model's forces beside those of a reference."""
