"""Flax linen modules and nothing else: one file per architecture.

Every network is here by its name, imported when first asked for: `from jaxgen.networks import UNet`. Layers are in
`jaxgen.networks.layers`. (`ResidualBlock` is a different module in `unet` and in `vq_conv`: import it from there.)
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxgen.networks.biggan import BigGANDiscriminator, BigGANGenerator
    from jaxgen.networks.classifier import ConvClassifier
    from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
    from jaxgen.networks.dit import DiT, DiTBlock
    from jaxgen.networks.dvae import BottleneckBlock, DVAEDecoder, DVAEEncoder
    from jaxgen.networks.efficientnet import DepthwiseConv, EfficientNetLite0, InvertedResidual
    from jaxgen.networks.feature_discriminator import FeatureDiscriminator
    from jaxgen.networks.flows import InverseAutoregressiveFlow, PlanarFlow
    from jaxgen.networks.gpt import GPT, Block
    from jaxgen.networks.inception import BasicConv2d, InceptionBlock, InceptionV3
    from jaxgen.networks.ladder import LadderDecoder, LadderEncoder, TwoLayers
    from jaxgen.networks.layers.convolution import Conv, ConvTranspose
    from jaxgen.networks.made import MADE, MaskedDense, TokenMADE
    from jaxgen.networks.mlp import MLPDiscriminator, MLPEncoder, MLPGenerator
    from jaxgen.networks.pixel_cnn import GatedPixelCNN
    from jaxgen.networks.recurrent import RecurrentLayer, RecurrentNetwork
    from jaxgen.networks.sngan import SNGANDiscriminator, SNGANGenerator
    from jaxgen.networks.stylegan2 import (
        DiscriminatorBlock,
        MappingNetwork,
        StyledConv,
        StyleGAN2Discriminator,
        StyleGAN2Generator,
        SynthesisNetwork,
        ToImage,
    )
    from jaxgen.networks.super_resolution import SRDiscriminator, SRResNet
    from jaxgen.networks.text_encoder import AttentionEncoder, CaptionEncoder, RecurrentEncoder, TextTransformer
    from jaxgen.networks.translators import PatchDiscriminator, ResNetTranslator, UNetTranslator
    from jaxgen.networks.unet import AttentionBlock, UNet
    from jaxgen.networks.vit import ViT
    from jaxgen.networks.vq_conv import VQDecoder, VQEncoder
    from jaxgen.networks.wavenet import WaveNet

_MODULES = {
    "AttentionBlock": "jaxgen.networks.unet",
    "AttentionEncoder": "jaxgen.networks.text_encoder",
    "BasicConv2d": "jaxgen.networks.inception",
    "BigGANDiscriminator": "jaxgen.networks.biggan",
    "BigGANGenerator": "jaxgen.networks.biggan",
    "Block": "jaxgen.networks.gpt",
    "BottleneckBlock": "jaxgen.networks.dvae",
    "CaptionEncoder": "jaxgen.networks.text_encoder",
    "Conv": "jaxgen.networks.layers.convolution",
    "ConvClassifier": "jaxgen.networks.classifier",
    "ConvTranspose": "jaxgen.networks.layers.convolution",
    "DCGANDiscriminator": "jaxgen.networks.dcgan",
    "DCGANEncoder": "jaxgen.networks.dcgan",
    "DCGANGenerator": "jaxgen.networks.dcgan",
    "DVAEDecoder": "jaxgen.networks.dvae",
    "DVAEEncoder": "jaxgen.networks.dvae",
    "DepthwiseConv": "jaxgen.networks.efficientnet",
    "DiT": "jaxgen.networks.dit",
    "DiTBlock": "jaxgen.networks.dit",
    "DiscriminatorBlock": "jaxgen.networks.stylegan2",
    "EfficientNetLite0": "jaxgen.networks.efficientnet",
    "FeatureDiscriminator": "jaxgen.networks.feature_discriminator",
    "GPT": "jaxgen.networks.gpt",
    "GatedPixelCNN": "jaxgen.networks.pixel_cnn",
    "InceptionBlock": "jaxgen.networks.inception",
    "InceptionV3": "jaxgen.networks.inception",
    "InverseAutoregressiveFlow": "jaxgen.networks.flows",
    "InvertedResidual": "jaxgen.networks.efficientnet",
    "LadderDecoder": "jaxgen.networks.ladder",
    "LadderEncoder": "jaxgen.networks.ladder",
    "MADE": "jaxgen.networks.made",
    "MLPDiscriminator": "jaxgen.networks.mlp",
    "MLPEncoder": "jaxgen.networks.mlp",
    "MLPGenerator": "jaxgen.networks.mlp",
    "MappingNetwork": "jaxgen.networks.stylegan2",
    "MaskedDense": "jaxgen.networks.made",
    "PatchDiscriminator": "jaxgen.networks.translators",
    "PlanarFlow": "jaxgen.networks.flows",
    "RecurrentEncoder": "jaxgen.networks.text_encoder",
    "RecurrentLayer": "jaxgen.networks.recurrent",
    "RecurrentNetwork": "jaxgen.networks.recurrent",
    "ResNetTranslator": "jaxgen.networks.translators",
    "SNGANDiscriminator": "jaxgen.networks.sngan",
    "SNGANGenerator": "jaxgen.networks.sngan",
    "SRDiscriminator": "jaxgen.networks.super_resolution",
    "SRResNet": "jaxgen.networks.super_resolution",
    "StyleGAN2Discriminator": "jaxgen.networks.stylegan2",
    "StyleGAN2Generator": "jaxgen.networks.stylegan2",
    "StyledConv": "jaxgen.networks.stylegan2",
    "SynthesisNetwork": "jaxgen.networks.stylegan2",
    "TextTransformer": "jaxgen.networks.text_encoder",
    "ToImage": "jaxgen.networks.stylegan2",
    "TokenMADE": "jaxgen.networks.made",
    "TwoLayers": "jaxgen.networks.ladder",
    "UNet": "jaxgen.networks.unet",
    "UNetTranslator": "jaxgen.networks.translators",
    "VQDecoder": "jaxgen.networks.vq_conv",
    "VQEncoder": "jaxgen.networks.vq_conv",
    "ViT": "jaxgen.networks.vit",
    "WaveNet": "jaxgen.networks.wavenet",
}
"""The module of each network."""

__all__ = [
    "GPT",
    "MADE",
    "AttentionBlock",
    "AttentionEncoder",
    "BasicConv2d",
    "BigGANDiscriminator",
    "BigGANGenerator",
    "Block",
    "BottleneckBlock",
    "CaptionEncoder",
    "Conv",
    "ConvClassifier",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANEncoder",
    "DCGANGenerator",
    "DVAEDecoder",
    "DVAEEncoder",
    "DepthwiseConv",
    "DiT",
    "DiTBlock",
    "DiscriminatorBlock",
    "EfficientNetLite0",
    "FeatureDiscriminator",
    "GatedPixelCNN",
    "InceptionBlock",
    "InceptionV3",
    "InverseAutoregressiveFlow",
    "InvertedResidual",
    "LadderDecoder",
    "LadderEncoder",
    "MLPDiscriminator",
    "MLPEncoder",
    "MLPGenerator",
    "MappingNetwork",
    "MaskedDense",
    "PatchDiscriminator",
    "PlanarFlow",
    "RecurrentEncoder",
    "RecurrentLayer",
    "RecurrentNetwork",
    "ResNetTranslator",
    "SNGANDiscriminator",
    "SNGANGenerator",
    "SRDiscriminator",
    "SRResNet",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "StyledConv",
    "SynthesisNetwork",
    "TextTransformer",
    "ToImage",
    "TokenMADE",
    "TwoLayers",
    "UNet",
    "UNetTranslator",
    "VQDecoder",
    "VQEncoder",
    "ViT",
    "WaveNet",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
