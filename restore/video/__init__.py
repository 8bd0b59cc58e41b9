"""Colouring films without leaving YUV: the luma planes that were decoded are the ones that are encoded."""
