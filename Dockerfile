# Two images, a target each:
#
#   sandbox   what agents' code runs in: Python, the ML stack, a user without rights; nothing of Proctor.
#             'proctor image build' builds it; so does the first use of '--backend docker'.
#   server    Proctor itself:  docker build -t proctor . && docker run --rm -p 8000:8000 proctor
#
# BASE may be any Debian-like image with Python >= 3.11 and venv. Behind a proxy with an authority of
# its own, put that bundle beside this file as ca-bundle.crt; it stays in the build stages.
# On 3.11 to 3.13, run_python can fork scripts from a preloaded interpreter.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS packages
# numpy 2.4 is the newest that all of the others have wheels for, on amd64 and arm64.
ARG PACKAGES="numpy==2.4.6 pandas==3.1.1 scipy==1.17.1 scikit-learn==1.9.1 statsmodels==0.15.0 matplotlib==3.11.2 lightgbm==4.7.0"
ARG EXTRA_PACKAGES=""
# Copied beside this file, which is always there, the bundle may be missing.
COPY Dockerfile ca-bundle.cr[t] /build/
RUN if [ -f /build/ca-bundle.crt ]; then export PIP_CERT=/build/ca-bundle.crt; fi; \
    python3 -m venv /opt/ml \
    && /opt/ml/bin/pip install --no-cache-dir ${PACKAGES} ${EXTRA_PACKAGES}

FROM ${BASE} AS sandbox
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 procps \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 agent \
    && seq 10001 11000 | sed 's|.*|agent:x:&:10001::/tmp:/bin/bash|' >> /etc/passwd
COPY --from=packages /opt/ml /opt/ml
ENV PATH=/opt/ml/bin:/usr/local/bin:/usr/bin:/bin
LABEL proctor.image=sandbox

FROM ${BASE} AS build
WORKDIR /src
COPY . .
RUN if [ -f ca-bundle.crt ]; then export PIP_CERT=/src/ca-bundle.crt; fi; \
    python3 -m venv /opt/proctor && /opt/proctor/bin/pip install --no-cache-dir .

FROM ${BASE} AS server
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap squid \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/proctor /opt/proctor
RUN useradd --create-home proctor && mkdir /data && chown proctor /data
USER proctor
VOLUME /data
EXPOSE 8000
ENV PATH=/opt/proctor/bin:$PATH
# Inside a container, "every address" is what the engine maps ports to; Host names are still checked.
ENTRYPOINT ["proctor"]
CMD ["serve", "--http", "--host", "0.0.0.0", "--data", "/data"]
