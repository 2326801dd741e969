"""JSON Schemas of answers: whether they are any, whether an answer can satisfy them, and the validators that hold answers against them."""
