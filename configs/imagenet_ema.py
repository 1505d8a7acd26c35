"""ImageNet-1k, 300 epochs at 224, evaluating and saving the moving average of the weights, as the authors of CSWin and a
dozen others do (docs/pretraining.md): each step goes 1e-4 of the way. No published figures are of this very recipe. It
starts from no weights.

    tools/dist_train.sh configs/imagenet_ema.py 8 --amp --backbone cswin/tiny
"""
_base_ = 'imagenet.py'
custom_hooks = [dict(type='EMAHook', momentum=1e-4)]
