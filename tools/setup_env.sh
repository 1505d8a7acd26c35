#!/usr/bin/env bash
# Makes the environment .venv with pinned versions of everything: tools/setup_env.sh [python]
# May be interrupted and run again at any point; what is done is not done again. Set MAX_JOBS to bound the compiler
# processes, MMVIT_WHEELS for another place for the compiled mmcv.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
venv=.venv
stamp=$venv/.complete
wanted=$(cat requirements/pinned.txt requirements/tests.txt setup.py | cksum)

[ -f $stamp ] && [ "$(cat $stamp)" = "$wanted" ] && exit 0
say() { printf '\n== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "Python >= 3.10 is needed, but '$python' is $("$python" --version 2>&1). Name another: make PYTHON=python3.11 ..."
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "'$python' has no venv module (Debian: apt install python3-venv)"
command -v "${CXX:-c++}" >/dev/null || fail "a C++ compiler is needed to build mmcv's operators (Debian: apt install g++)"

pinned() { grep "^$1==" requirements/pinned.txt; }
run() { "$venv/bin/python" "$@"; }
pip() { run -m pip --disable-pip-version-check "$@"; }

say 'environment .venv'
run -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear $venv
say "torch and torchvision (about a minute and 3 GB)"
pip install --quiet --upgrade pip
pip install --quiet "$(pinned torch)" "$(pinned torchvision)" 'setuptools>=80,<82' wheel ninja packaging psutil

# A compiled mmcv fits one version of torch and of Python, and one kind of device. pip's own cache does not know that.
kind=$(run - <<'PY'
import sys, torch
device = 'cpu'
if torch.cuda.is_available():
    device = 'cu{}-sm{}'.format(torch.version.cuda.replace('.', ''), ''.join(map(str, torch.cuda.get_device_capability())))
print('torch{}-cp{}{}-{}'.format(torch.__version__.split('+')[0], *sys.version_info[:2], device))
PY
)
wheels=${MMVIT_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/mmvit_backbones/wheels}/$kind
if ! compgen -G "$wheels/*.whl" >/dev/null; then
    jobs=${MAX_JOBS:-$(nproc 2>/dev/null || sysctl -n hw.ncpu)}
    say "compiling mmcv's operators for $kind with $jobs processes: 8 minutes on 2 cores, longer for a GPU; done once"
    case $kind in
    *-cu*)
        run -c 'import sys, torch.utils.cpp_extension as e; sys.exit(e.CUDA_HOME is None)' ||
            fail 'there is a GPU but no CUDA compiler. Install the CUDA toolkit (nvcc) of the version in' \
                 "$kind, set CUDA_HOME, and run this again."
        export FORCE_CUDA=1
        ;;
    esac
    build=$(mktemp -d)
    trap 'rm -rf "$build"; [ -z "${watch:-}" ] || kill "$watch" 2>/dev/null || true' EXIT
    (
        while sleep 30; do
            printf '   %s s, %s\n' "$SECONDS" "$(grep -o '\[[0-9]*/[0-9]*\]' "$build/log" | tail -n 1)"
        done
    ) &
    watch=$!
    MAX_JOBS=$jobs MMCV_WITH_OPS=1 pip wheel --verbose --no-build-isolation --no-cache-dir --no-deps --wheel-dir "$build/out" \
        "$(pinned onedl-mmcv)" >"$build/log" 2>&1 || { tail -n 40 "$build/log" >&2; fail 'mmcv did not compile'; }
    kill $watch 2>/dev/null || true
    mkdir -p "$wheels"
    for wheel in "$build"/out/*.whl; do  # under its name only when it is whole
        cp "$wheel" "$wheels/.part" && mv "$wheels/.part" "$wheels/$(basename "$wheel")"
    done
fi
say "mmcv from $wheels"
run -c 'import mmcv._ext' 2>/dev/null || pip install --quiet --no-deps --force-reinstall "$wheels"/*.whl
say 'mmengine, mmdetection, mmsegmentation, mmpretrain and this package'
pip install --quiet --requirement requirements/pinned.txt
pip install --quiet --no-build-isolation --editable '.[tests]'
run -c 'import mmcv.ops, mmdet, mmseg, mmpretrain, mmvit_backbones'
echo "$wanted" >$stamp
say "done: activate it with '. .venv/bin/activate'"
