"""Photos: walking folders, reading, telling tones, writing, and the pipeline that joins them."""
