"""Editing with trained models: latents, styles, projection, style transfer."""
