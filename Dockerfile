# An environment for clusters and clouds: the pipeline's packages and the pipeline itself.
#
#   docker build --tag tsn .      # NVIDIA GPUs, and CPUs
#   docker build --tag tsn-cpu --build-arg TORCH_INDEX=ADDRESS .  # CPUs only, some GB less: ADDRESS is
#                                  # that of the CPU builds on PyTorch's page "Get Started"
#   docker run --rm --gpus all --shm-size 8g --user "$(id -u):$(id -g)" \
#     --volume "$PWD:/data" tsn --cores 16 results/fusion_ucf101.json
#
# The command line is Snakemake's; it runs in /data. Apptainer: apptainer build tsn.sif docker-daemon://tsn:latest

ARG PYTHON=3.12
FROM python:${PYTHON}-slim-bookworm

# An index of PyTorch builds that are preferred to those of PyPI, which bring CUDA's libraries.
ARG TORCH_INDEX=""
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1

WORKDIR /opt/tsn
COPY requirements.lock pyproject.toml README.md LICENSE ./
# 2.15.0+cpu, say, satisfies torch==2.15.0 and is taken before it.
RUN pip install --requirement requirements.lock ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}

COPY Snakefile ./
COPY config config
COPY profiles profiles
COPY tsn tsn
COPY workflow workflow
# Compiled here: users may not write into the image, and every job would compile its imports anew.
RUN pip install --no-deps --editable . && python -m compileall -q tsn

# Any user may run it, with or without a home folder: caches go where everybody may write.
ENV HOME=/tmp XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/cache/matplotlib NUMBA_CACHE_DIR=/tmp/cache/numba
WORKDIR /data
ENTRYPOINT ["snakemake", "--snakefile", "/opt/tsn/Snakefile"]
CMD ["--help"]
