"""How a model learns and answers each problem: head, encoding, loss, decoding; needs torch."""
