"""Exports trained translators for other programs: graphs (ONNX, torch.export), hub folders, the PyTorch port."""
