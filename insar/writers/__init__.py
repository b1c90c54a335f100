"""Files of a result folder other than its layers."""
