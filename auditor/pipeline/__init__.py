"""Which stages a command goes through: the only place that knows more than one of them."""
