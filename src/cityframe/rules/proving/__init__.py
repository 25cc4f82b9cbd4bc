"""What a kind is proved with: cases, sown defects, data of every sort."""
