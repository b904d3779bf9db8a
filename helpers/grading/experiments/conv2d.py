"""Experiment 2, a Conv2D of one's own: its checks, their points, and what its answers must not use."""

from helpers.grading.experiments import Check, Experiment, conv2d_functions, conv2d_layer

LADDER = ("one_window", "slide", "conv_channels", "conv_bias", "conv_stride", "conv_padding", "my_conv2d")

EXPERIMENT = Experiment(
    name="conv2d",
    title="Experiment 2: your own Conv2D",
    stem="02_conv2d",
    seconds=90,
    names=(*LADDER, "Conv2D", "CNN", "my_dilated_conv2d", "my_grouped_conv2d"),
    checks=[
        Check("Rung 1: one window", 4, conv2d_functions.one_window, LADDER[:1]),
        Check("Rung 2: sliding", 10, conv2d_functions.slide, LADDER[1:2]),
        Check("Rung 3: channels and filters", 12, conv2d_functions.channels, LADDER[2:3]),
        Check("Rung 4: bias", 8, conv2d_functions.bias, LADDER[3:4]),
        Check("Rung 5: stride", 12, conv2d_functions.stride, LADDER[4:5]),
        Check("Rung 6: padding", 12, conv2d_functions.padding, LADDER[5:6]),
        Check("Rung 7: a batch", 14, conv2d_functions.batch, LADDER[6:7]),
        Check("Rung 8: the layer", 10, conv2d_layer.module_forward, ("Conv2D",)),
        Check("Rung 8: its gradients", 10, conv2d_layer.module_gradients, ("Conv2D",)),
        Check("Rung 9: in a network", 8, conv2d_layer.network, ("CNN",), uses=("Conv2D",)),
        Check("Optional: dilation", 0, conv2d_functions.dilation, ("my_dilated_conv2d",)),
        Check("Optional: groups", 0, conv2d_functions.groups, ("my_grouped_conv2d",)),
    ],
    forbidden=(
        "torch.conv*", "torch.nn.functional.conv*", "torch.nn.Conv*", "torch.nn.LazyConv*", "torch.nn.modules.conv",
        "torch.nn.functional.unfold", "torch.nn.functional.fold", "torch.nn.Unfold", "torch.nn.Fold", "torch.nn.modules.fold",
        "torch.nn.grad", "torch.ops", "torch._C", "torch.mkldnn*", "torch.cudnn*", "torch.miopen*", "torchvision.ops",
        "torch.ao", "torch.nn.quantized", "torch.nn.intrinsic", "helpers.conv", "helpers.windows", "helpers.strips",
        "helpers.receptive_field", "helpers.pooling", "helpers.lenet", "helpers.trained",
        "scipy", "numpy.convolve", "numpy.correlate", "numpy.ma.convolve",
        "numpy.ma.correlate", "numpy.polymul", "numpy.poly1d", "numpy.polynomial", "sympy", "cv2", "skimage", "PIL", "jax", "tensorflow", "keras",
    ),
    forbidden_operators=("*convolution*", "*conv1d*", "*conv2d*", "*conv3d*", "*conv_*", "im2col*", "col2im*", "*mkldnn*"),
)  # fmt: skip
