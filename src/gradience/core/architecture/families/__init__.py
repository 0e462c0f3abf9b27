"""What is known of each model type, as data: templates of modules and the sizes in them."""
