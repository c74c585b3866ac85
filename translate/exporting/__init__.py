"""Trained translators as files for other programs: graphs (ONNX, torch.export), a hub's folder, the PyTorch port."""
