"""What a Hugging Face Inference Endpoint looks for in a repository; the package in requirements.txt does the work.

Research software: not a medical device, never advice for care.
"""

from videopath_hf.serving.endpoint import EndpointHandler

__all__ = ["EndpointHandler"]
