"""The differentiable parts of warpprior as functions of torch tensors.

Importing this needs no torch; calling its functions does: ``pip install 'warpprior[torch]'``.  Tensors of float32 share
their memory with Warp, on the CPU and on CUDA devices, where everything runs on torch's current stream; others are
converted, and so are their gradients.  Every function passes gradients to all tensors that require grad, once: it
cannot be differentiated twice.
"""

from warpprior.torch.functions import depth, signed_distance, silhouette, skin, transfer
from warpprior.torch.terms import loss

__all__ = ["depth", "loss", "signed_distance", "silhouette", "skin", "transfer"]
