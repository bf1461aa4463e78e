"""Plain data and pure rules: what darkroom talks about, without any input or output."""
