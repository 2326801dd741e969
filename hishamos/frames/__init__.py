"""DataFrame to rows and back."""
