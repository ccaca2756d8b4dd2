"""What can be done with trained models: latents, styles, projection, style transfer."""
