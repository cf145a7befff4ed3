"""Products of whole numbers as crossbars with their converters compute them."""
