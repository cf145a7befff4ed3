"""Networks: data, training, single-path one-shot supernets and quantisation; needs the extra `network`."""
