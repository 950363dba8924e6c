"""Names of the attribution methods, for parameters, tables and figures; needs no TensorFlow."""

GRADIENT_METHODS = ("layercam", "gradcam_plus_plus", "gradcam")
"""Computed by tf-keras-vis from activations and gradients; the default of every study."""

VARIANT_METHODS = ("gradcam_plus_plus_positive", "gradcam_plus_plus_plain")
"""Grad-CAM++ as other implementations have it, see `lib.attribution.formulas`."""

GRADIENT_FREE_METHODS = ("scorecam",)
"""Reference methods that use no gradient and cost one prediction per channel and film."""

METHODS = (*GRADIENT_METHODS, *VARIANT_METHODS, *GRADIENT_FREE_METHODS)
