# Proctor's server. Build: docker build -t proctor . ; run: docker run --rm -p 8000:8000 proctor
#
# BASE may be any Debian-like image with Python >= 3.11 and venv. Behind a proxy with its own
# authority, put its bundle beside this file as ca-bundle.crt; it stays in the build stage.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
WORKDIR /src
COPY . .
RUN if [ -f ca-bundle.crt ]; then export PIP_CERT=/src/ca-bundle.crt; fi; \
    python3 -m venv /opt/proctor && /opt/proctor/bin/pip install --no-cache-dir .

FROM ${BASE} AS server
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap \
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
