"""What belongs to a backbone when it classifies: the drop path of its training, and how images come to it."""
import math
from typing import Dict, List

from mmengine.config import Config

from ..checkpoints import Preprocess, preprocessing
from .data import nodes

_RATES = {
    'cait': dict(
        cait_XXS24_224=.05, cait_XXS24=.05, cait_XXS36_224=.1, cait_XXS36=.1, cait_XS24=.05, cait_S24_224=.1, cait_S24=.1,
        cait_S36=.2, cait_M36=.3),  # recollected
    'ceit': dict(ceit_t=.1, ceit_t_384=.1, ceit_s=.1, ceit_s_384=.1, ceit_b=.1),
    'cpvt': dict(cpvt_ti=.1, cpvt_ti_gap=.1, cpvt_s=.1, cpvt_s_gap=.1, cpvt_b=.1, cpvt_b_gap=.1),  # DeiT's
    'cswin': dict(tiny=.2, small=.4, base=.5, base_384=.7, large=.2),
    'deepvit': dict(
        deepvit_S=.2, deepvit_L=.2, deepvit_L_384=.2, deepvit_patch16_224_re_attn_16b=.2, deepvit_patch16_224_re_attn_24b=.2,
        deepvit_patch16_224_re_attn_32b=.2),
    'deit': dict(
        deit_tiny_patch16_224=.1, deit_small_patch16_224=.1, deit_base_patch16_224=.1, deit_base_patch16_384=.1,
        deit_tiny_distilled_patch16_224=.1, deit_small_distilled_patch16_224=.1, deit_base_distilled_patch16_224=.1,
        deit_base_distilled_patch16_384=.1, deit_small_patch16_LS=.05, deit_small_patch16_LS_384=0., deit_base_patch16_LS=.2,
        deit_base_patch16_LS_384=.15, deit_large_patch16_LS=.45, deit_large_patch16_LS_384=.4, deit_huge_patch14_LS=.55),
    'dwnet': dict(
        dwnet_tiny=.2, dwnet_base=.5, dynamic_dwnet_tiny=.2, dynamic_dwnet_base=.5, i_dynamic_dwnet_tiny=.2,
        i_dynamic_dwnet_base=.5),
    'elsa': dict(tiny=.1, small=.3, base=.5),
    'fcvit': dict(tiny=.1, b12=.1, b24=.1, b48=.2),
    'gg_transformer': dict(gg_tiny=.2, gg_small=.3),  # recollected
    'hrformer': dict(hrformer_t=0., hrformer_s=0., hrformer_b=.2),
    'localvit': dict(
        localvit_t=.1, localvit_t_se4=.1, localvit_s=.1, localvit_t2t=.1, localvit_tnt=.1, localvit_pvt=.1, localvit_swin=.1),
    'lv_vit': dict(
        lvvit_s=.1, lvvit_s_384=.1, lvvit_m=.2, lvvit_m_384=.2, lvvit_m_448=.2, lvvit_l_448=.3, lvvit_l_512=.3),
    'msg_transformer': dict(tiny=.1, small=.3, base=.5),
    'mvit_v2': dict(tiny=.1, small=.1, base=.3),
    'p2t': dict(tiny=.1, small=.1, base=.3, large=.3),
    'ps_vit': dict(ps_vit_ti_14=.1, ps_vit_b_10=.1, ps_vit_b_14=.1, ps_vit_b_16=.1, ps_vit_b_18=.1),
    'pvt': dict(tiny=.1, small=.1, medium=.3, large=.3),
    'pvt_v2': dict(b0=.1, b1=.1, b2=.1, b2_li=.1, b3=.3, b4=.3, b5=.3),
    'rest': dict(lite=.1, small=.1, base=.2, large=.3),
    'rest_v2': dict(tiny=.1),
    'sg_former': dict(s=.1, m=.2, b=.4),
    'shuffle_transformer': dict(tiny=.1, small=.3, base=.5),
    'swin': dict(
        tiny=.2, small=.3, base=.5, base_window12_384=.5, large=.2, large_window12_384=.2, tiny_c24_window8_256=.2),
    'swin_v2': dict(
        tiny_window8_256=.2, tiny_window16_256=.2, small_window8_256=.3, small_window16_256=.3, base_window8_256=.5,
        base_window16_256=.5, base_window12_192_22k=.2, base_window12to16_192to256_22kto1k=.2,
        base_window12to24_192to384_22kto1k=.2, large_window12_192_22k=.2, large_window12to16_192to256_22kto1k=.2,
        large_window12to24_192to384_22kto1k=.2),
    't2t_vit': dict(
        t2t_vit_7=.1, t2t_vit_10=.1, t2t_vit_12=.1, t2t_vit_14=.1, t2t_vit_14_384=.1, t2t_vit_14_resnext=.1,
        t2t_vit_14_wide=.1, t2t_vit_19=.1, t2t_vit_24=.1, t2t_vit_t_14=.1, t2t_vit_t_19=.1, t2t_vit_t_24=.1),
    'tnt': dict(tnt_ti=.1, tnt_s=.1, tnt_s_legacy=.1, tnt_b=.1),
    'tokenlearner': dict(tokenlearner_ti_16=0., tokenlearner_s_16=0., tokenlearner_b_16=0., tokenlearner_l_16=0.),
    'twins_pcpvt': dict(small=.2, base=.3, large=.5),
    'twins_svt': dict(small=.2, base=.3, large=.5),
    'vitae': dict(vitae_t=.1, vitae_6m=.1, vitae_13m=.1, vitae_s=.1),  # the script's default
    'vit_c': dict(vit_c_1gf=0., vit_c_4gf=0., vit_c_18gf=0., vit_c_36gf=0., vit_c_72gf_in21k=0.),
    'vit': {
        f'vit_{name}_patch16_{size}': rate
        for name, rate in (('tiny', 0.), ('small', 0.), ('base', 0.), ('large', .1)) for size in (224, 384)
    },
    'vitae_v2': dict(vitaev2_s=.1, vitaev2_48m=.25, vitaev2_b=.4),
}
DROP_PATH: Dict[str, float] = {
    f'{family}/{arch}': rate for family, rates in _RATES.items() for arch, rate in rates.items()
}
"""{<family>/<variant>: drop path with which the authors have trained its weights}; that of the fine-tuning where they have
pre-trained at another size or on ImageNet-22k. Those that are not given anywhere are left out."""


def use_preprocessing(cfg: Config, name: str, keep_size: bool = False) -> None:
    """Brings images to a classifier as the authors of its backbone do.

    Mean and std are theirs; where the data set is ImageNet, so are the steps of evaluation, and the size in training.

    Args:
        cfg: Of mmpretrain, with the model of an image classifier; changed in place.
        name: <family>/<variant>.
        keep_size: Leave all but mean and std as it is, since the config is for a size of its own.
    """
    if 'data_preprocessor' not in cfg.model:
        cfg.setdefault('data_preprocessor', {})
    preprocess = set_statistics(cfg, name, 'to_rgb')
    for path, node in nodes(cfg, ['train_dataloader', 'val_dataloader', 'test_dataloader']):
        if keep_size or str(node.get('type')).rsplit('.')[-1] != 'ImageNet':
            continue
        if path.startswith('train'):
            for _, step in nodes(node['pipeline'], None, 'pipeline'):
                if step.get('type') == 'RandomResizedCrop':
                    step['scale'] = preprocess.size
        else:
            node['pipeline'] = evaluation_pipeline(preprocess)


def set_statistics(cfg: Config, name: str, to_rgb: str) -> Preprocess:
    """Puts mean and std of the images, in RGB, with which a backbone's weights were trained, into all data preprocessors.

    Args:
        cfg: Changed in place.
        name: <family>/<variant>.
        to_rgb: What the data preprocessors call turning BGR to RGB.

    Returns:
        What else is known of the images.
    """
    preprocess = preprocessing(name)
    found = [node for path, node in nodes(cfg, ['model', 'data_preprocessor'])
             if path.endswith('data_preprocessor') and 'data_preprocessor' not in node]
    mean, std = ([round(255 * value, 3) for value in values] for values in (preprocess.mean, preprocess.std))
    for node in found:
        node.update({'mean': mean, 'std': std, to_rgb: True})
        node.pop('rgb_to_bgr', None)
    return preprocess


def evaluation_pipeline(preprocess: Preprocess) -> List[dict]:
    """Transforms of mmpretrain's that give the pixels of the authors' (torchvision's, timm's), to the last bit."""
    size, sampling = preprocess.size, dict(backend='pillow', interpolation=preprocess.interpolation)
    if preprocess.crop is None:
        resize = [dict(type='Resize', scale=(size, size), **sampling)]
    else:
        resize = [dict(type='ResizeEdge', scale=math.floor(size / preprocess.crop), edge='short', **sampling),
                  dict(type='CenterCrop', crop_size=size)]
    # Pillow's decoding, and no turning by what a camera noted: the authors' data sets do not look at that
    load = dict(type='LoadImageFromFile', imdecode_backend='pillow', color_type='color_ignore_orientation')
    return [load, *resize, dict(type='PackInputs')]
