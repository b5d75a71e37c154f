"""The models shipped with fastflow-ray and the commands that train them."""
